"""The figures, each drawn twice by matplotlib, for wide and narrow screens; the page's style colours them."""

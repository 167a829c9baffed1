"""What admits a pod: Kubernetes' Pod Security Standards and OpenShift's restricted-v2, as rules over a pod's spec.

Written after the public text of both: https://kubernetes.io/docs/concepts/security/pod-security-standards/ (baseline and
restricted, read for 1.34) and the SecurityContextConstraints `restricted-v2` that OpenShift 4.11 and later installs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.chart.objects import Object

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
"""Kinds of volumes that both allow."""
BASELINE_CAPABILITIES = {
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
    *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
}
SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}


def containers_of(pod: Object) -> Iterator[tuple[str, Object]]:
    """Every container of a pod, the first ones too, with its security context."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod.get(kind, []):
            yield str(container["name"]), container


def check_baseline(pod: Object) -> set[str]:
    """The rules of PodSecurity "baseline" that a pod breaks, as field names."""
    broken = {field for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field)}
    broken |= {"hostPath" for volume in pod.get("volumes", []) if "hostPath" in volume}
    context = pod.get("securityContext", {})
    broken |= {"sysctls" for sysctl in context.get("sysctls", []) if sysctl["name"] not in SYSCTLS}
    broken |= _check_context(context)
    for _, container in containers_of(pod):
        own = container.get("securityContext", {})
        broken |= _check_context(own)
        if own.get("privileged"):
            broken.add("privileged")
        if own.get("procMount", "Default") != "Default":
            broken.add("procMount")
        if set(own.get("capabilities", {}).get("add", [])) - BASELINE_CAPABILITIES:
            broken.add("capabilities.add")
        if any(port.get("hostPort") for port in container.get("ports", [])):
            broken.add("hostPort")
        handlers = [container.get(name, {}) for name in ("startupProbe", "readinessProbe", "livenessProbe")]
        handlers += [container.get("lifecycle", {}).get(name, {}) for name in ("postStart", "preStop")]
        if any(
            handler.get(kind, {}).get("host") for handler in handlers for kind in ("httpGet", "tcpSocket")
        ):
            broken.add("host of a probe")
    return broken


def _check_context(context: dict[str, Any]) -> set[str]:
    """The rules that hold for the pod's security context and for a container's."""
    broken = set()
    if context.get("seccompProfile", {}).get("type") == "Unconfined":
        broken.add("seccompProfile")
    if context.get("windowsOptions", {}).get("hostProcess"):
        broken.add("hostProcess")
    options = context.get("seLinuxOptions", {})
    if options.get("type", "") not in SELINUX_TYPES or options.get("user") or options.get("role"):
        broken.add("seLinuxOptions")
    if context.get("appArmorProfile", {}).get("type", "RuntimeDefault") == "Unconfined":
        broken.add("appArmorProfile")
    return broken


def check_restricted(pod: Object) -> set[str]:
    """The rules of PodSecurity "restricted" that a pod breaks; those of "baseline" are among them."""
    broken = check_baseline(pod)
    for volume in pod.get("volumes", []):
        if set(volume) - {"name"} - VOLUMES:
            broken.add("volumes")
    context = pod.get("securityContext", {})
    if context.get("runAsUser") == 0:
        broken.add("runAsUser")
    for _, container in containers_of(pod):
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            broken.add("allowPrivilegeEscalation")
        if own.get("runAsNonRoot", context.get("runAsNonRoot")) is not True:
            broken.add("runAsNonRoot")
        if own.get("runAsUser") == 0:
            broken.add("runAsUser")
        profile = own.get("seccompProfile", context.get("seccompProfile", {}))
        if profile.get("type") not in {"RuntimeDefault", "Localhost"}:
            broken.add("seccompProfile")
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []):
            broken.add("capabilities.drop")
        if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            broken.add("capabilities.add")
    return broken


def check_restricted_v2(pod: Object) -> set[str]:
    """The rules of OpenShift's restricted-v2 that a pod breaks, in a namespace whose range nobody knows before.

    The range gives user, volume group and SELinux level, so a pod may name none of them. The capabilities that must be
    dropped and the seccomp profile are filled in where a pod does not name them; what it names has to be that.
    """
    broken = check_baseline(pod)
    for volume in pod.get("volumes", []):
        if set(volume) - {"name"} - VOLUMES:
            broken.add("volumes")
    context = pod.get("securityContext", {})
    broken |= {field for field in ("runAsUser", "fsGroup", "seLinuxOptions") if field in context}
    for _, container in containers_of(pod):
        own = container.get("securityContext", {})
        broken |= {field for field in ("runAsUser", "seLinuxOptions") if field in own}
        if own.get("allowPrivilegeEscalation"):
            broken.add("allowPrivilegeEscalation")
        if own.get("seccompProfile", context.get("seccompProfile", {})).get("type") not in {
            None,
            "RuntimeDefault",
        }:
            broken.add("seccompProfile")
        if set(own.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"}:
            broken.add("capabilities.add")
    return broken

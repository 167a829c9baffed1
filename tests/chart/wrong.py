"""Values that are wrong or cannot work, each with what the refusal has to name.

`SHAPE` is refused by the schema, `COMPUTED` by the templates, which find all of them at once.
"""

from __future__ import annotations

ENGINE = "engine: vllm, hardware: xeon, modelId: Qwen/Qwen3-8B, cache: {size: 40Gi}"
ROOM = "resources: {requests: {cpu: 8, memory: 30Gi}, limits: {memory: 36Gi}}"


def engine(fields: str, room: str = ROOM) -> str:
    """Values with one deployed engine beside the embedded entries."""
    return f"models: {{m: {{{ENGINE}, {room}, {fields}}}}}"


SHAPE = [
    # quantities, numbers, words
    ("gateway: {resources: {requests: {cpu: 2 cores}}}", "at '/gateway/resources/requests/cpu'"),
    ("gateway: {resources: {limits: {memory: 4GB}}}", "at '/gateway/resources/limits/memory'"),
    ("reranking: {resources: {limits: {memory: -1Gi}}}", "at '/reranking/resources/limits/memory'"),
    (
        "reranking: {resources: {limits: {gpu: 1}}}",
        "at '/reranking/resources/limits': additional properties 'gpu'",
    ),
    ("deadlineSeconds: -5", "at '/deadlineSeconds'"),
    ("startupSeconds: 0", "at '/startupSeconds'"),
    ("preStopSeconds: -1", "at '/preStopSeconds'"),
    ("gateway: {startupSeconds: 0}", "at '/gateway/startupSeconds'"),
    ("gateway: {replicas: 0}", "at '/gateway/replicas'"),
    ("retrieval: {replicas: two}", "at '/retrieval/replicas'"),
    ("test: {timeoutSeconds: 10}", "at '/test/timeoutSeconds'"),
    ("gateway: {service: {type: Nodeport}}", "at '/gateway/service/type'"),
    ("gateway: {autoscaling: {cpu: 0}}", "at '/gateway/autoscaling/cpu'"),
    ("retrieval: {persistence: {accessMode: RWO}}", "at '/retrieval/persistence/accessMode'"),
    ("logLevel: verbose", "at '/logLevel'"),
    ("generation: {strategy: Recrete}", "at '/generation/strategy'"),
    ("httpRoute: {timeout: '600'}", "at '/httpRoute/timeout'"),
    ("serviceMonitor: {interval: '30'}", "at '/serviceMonitor/interval'"),
    ("llm: {backend: [small, large]}", "at '/llm/backend'"),
    ("redis: {maxMemory: 2Gi}", "at '/redis/maxMemory'"),
    # unknown keys, at every depth
    ("gatway: {replicas: 2}", "additional properties 'gatway' not allowed"),
    ("dataprep: {persistance: {size: 1Gi}}", "at '/dataprep': additional properties 'persistance'"),
    (
        "networkPolicy: {outside: {ranges: [10.0.0.0/8]}}",
        "at '/networkPolicy/outside': additional properties 'ranges'",
    ),
    (
        "networkPolicy: {gatewayFrom: [{namespaceSelctor: {}}]}",
        "at '/networkPolicy/gatewayFrom/0': additional properties 'namespaceSelctor'",
    ),
    (
        "embedding: {securityContext: {runAsRoot: true}}",
        "at '/embedding/securityContext': additional properties 'runAsRoot'",
    ),
    (
        "embedding: {affinity: {nodeAffinty: {}}}",
        "at '/embedding/affinity': additional properties 'nodeAffinty'",
    ),
    ("llm: {backends: small}", "at '/llm': additional properties 'backends'"),
    ("models: {small: {modelid: a}}", "additional properties 'modelid'"),
    # as Kubernetes has them, and not quite
    ("embedding: {tolerations: [{key: gpu, operator: Exist}]}", "at '/embedding/tolerations/0/operator'"),
    ("dataprep: {tolerations: [{key: gpu, effect: NoShedule}]}", "at '/dataprep/tolerations/0/effect'"),
    ("embedding: {nodeSelector: {gpu: true}}", "at '/embedding/nodeSelector/gpu'"),
    ("embedding: {extraVolumes: [{name: ca}]}", "at '/embedding/extraVolumes/0'"),
    ("dataprep: {extraVolumes: [{name: ca, configmap: {name: ca}}]}", "additional properties 'configmap'"),
    (
        "embedding: {extraVolumeMounts: [{name: ca, mountPath: ca}]}",
        "at '/embedding/extraVolumeMounts/0/mountPath'",
    ),
    ("embedding: {extraEnv: [{value: a}]}", "at '/embedding/extraEnv/0': missing property 'name'"),
    ("dataprep: {extraEnv: [{name: A, valueFrom: {}}]}", "at '/dataprep/extraEnv/0/valueFrom'"),
    (
        "embedding: {hostAliases: [{ip: 10.0.0.1}]}",
        "at '/embedding/hostAliases/0': missing property 'hostnames'",
    ),
    (
        "embedding: {topologySpreadConstraints: [{topologyKey: zone}]}",
        "at '/embedding/topologySpreadConstraints/0'",
    ),
    ("embedding: {dnsPolicy: None1}", "at '/embedding/dnsPolicy'"),
    (
        "embedding: {initContainers: [{name: first}]}",
        "at '/embedding/initContainers/0': missing property 'image'",
    ),
    ("embedding: {env: {TEXTS: 3}}", "at '/embedding/env/TEXTS'"),
    ("ingress: {tls: [{secret: t}]}", "at '/ingress/tls/0': additional properties 'secret'"),
    ("ingress: {annotations: {proxy-body-size: 100}}", "at '/ingress/annotations/proxy-body-size'"),
    # names and references
    ("secrets: {existingSecret: My_Secret}", "at '/secrets/existingSecret'"),
    ("imagePullSecrets: [{name: Pull}]", "at '/imagePullSecrets/0/name'"),
    ("imagePullSecrets: [pull]", "at '/imagePullSecrets/0'"),
    ("keys: {existingSecret: Keys!}", "at '/keys/existingSecret'"),
    ("keys: {enabled: 'yes'}", "at '/keys/enabled'"),
    ("serviceAccount: {name: My Account}", "at '/serviceAccount/name'"),
    ("embedding: {priorityClassName: High}", "at '/embedding/priorityClassName'"),
    ("embedding: {cache: {storageClass: Fast SSD}}", "at '/embedding/cache/storageClass'"),
    ("fullnameOverride: My App", "at '/fullnameOverride'"),
    ("models: {Large: {modelId: a}}", "'Large'"),
    ("engineImages: {vllm: {xeon: {digest: 'sha256:abc'}}}", "at '/engineImages/vllm/xeon/digest'"),
    ("qdrant: {image: {repository: 'qdrant/qdrant:v1'}}", "at '/qdrant/image/repository'"),
    ("teiImages: {cpu: {tag: latest}}", "at '/teiImages/cpu/tag'"),
    ("image: {digests: {gatway: a}}", "at '/image/digests': additional properties 'gatway' not allowed"),
    ("redis: {image: {registry: 'https://docker.io'}}", "at '/redis/image/registry'"),
    ("otlpEndpoint: collector:4318", "at '/otlpEndpoint'"),
    ("prometheus: prometheus:9090", "at '/prometheus'"),
    ("retrieval: {store: 'qdrant:6333'}", "at '/retrieval/store'"),
    ("dataprep: {jobs: 'redis'}", "at '/dataprep/jobs'"),
]

COMPUTED = [
    # more than there is
    (
        "gateway: {resources: {requests: {cpu: 1500m}, limits: {cpu: 1}}}",
        "gateway.resources.requests.cpu: 1500m is more than limits.cpu, 1",
    ),
    (
        "retrieval: {resources: {requests: {memory: 2Gi}, limits: {memory: 2G}}}",
        "retrieval.resources.requests.memory: 2Gi is more than limits.memory, 2G",
    ),
    (
        "gateway: {resources: {requests: {memory: 1Gi}}}",
        "gateway.resources.requests.memory: 1Gi is more than limits.memory, 512Mi",
    ),
    (
        "tei: {embedding: {enabled: true, resources: {requests: {memory: 6Gi}}}, reranking: {enabled: true}}",
        "tei.embedding.resources.requests.memory: 6Gi is more than limits.memory, 4Gi",
    ),
    (
        engine("kvCacheGiB: 8", "resources: {requests: {cpu: 8, memory: 40Gi}, limits: {memory: 36Gi}}"),
        "models.m.resources.requests.memory: 40Gi is more than limits.memory, 36Gi",
    ),
    (
        "dataprep: {resources: {limits: {memory: 512}}}",
        "dataprep.resources.limits.memory: 512 is less than a mebibyte",
    ),
    (
        "dataprep: {resources: {requests: {memory: 512m}}}",
        "dataprep.resources.requests.memory: 512m is less than a",
    ),
    ("dataprep: {persistence: {size: 0}}", "dataprep.persistence.size: 0 is less than a mebibyte"),
    ("generation: {cache: {size: '10'}}", "generation.cache.size: 10 is less than a mebibyte: give a unit"),
    ("reranking: {resources: {requests: {cpu: 0}}}", "reranking.resources.requests.cpu: more than 0"),
    (
        engine("kvCacheGiB: 40"),
        "models.m.kvCacheGiB: 40 GiB of cache, with shm, leave nothing of limits.memory, 36Gi",
    ),
    (engine("kvCacheGiB: 34, shm: 2Gi"), "models.m.kvCacheGiB: 34 GiB of cache, with shm, leave nothing"),
    (engine("shm: 40Gi"), "models.m.shm: shared memory is part of limits.memory, 36Gi"),
    (
        f"models: {{m: {{{ENGINE.replace('vllm', 'tgi')}, {ROOM}, maxInput: 9000, maxContext: 8192}}}}",
        "models.m.maxInput: a prompt of 9000 tokens leaves no room for an answer in maxContext, 8192",
    ),
    (
        "redis: {enabled: true, maxMemory: 4gb}\nsecrets: {redisPassword: a}",
        "redis.maxMemory: 4gb does not fit into redis.resources.limits.memory, 3Gi",
    ),
    # engines
    (
        f"models: {{m: {{{ENGINE.replace('Qwen/Qwen3-8B', 'meta-llama/Llama-3.1-8B-Instruct')}, {ROOM}}}}}",
        "models.m.modelId: meta-llama/Llama-3.1-8B-Instruct is given out by the hub to those who accepted",
    ),
    (engine("extraArgs: [--port=9000]"), "models.m.extraArgs[0]: --port is the chart's"),
    (
        engine("extraArgs: [--max_model_len=32768]"),
        "models.m.extraArgs[0]: --max-model-len is set by maxContext",
    ),
    (engine("extraArgs: [--api-key=secret]"), "models.m.extraArgs[0]: --api-key is the chart's"),
    (
        "models: {m: {engine: external, endpoint: 'http://v:8000/v1/chat/completions', modelId: a}}",
        "models.m.endpoint: the base URL, without /chat/completions",
    ),
    (
        "models: {m: {engine: external, endpoint: 'http://:8000', modelId: a}}",
        'models.m.endpoint: "http://:8000" has no host',
    ),
    (
        "models: {m: {engine: external, endpoint: 'https://me:word@llm.example.com', modelId: a}}",
        "models.m.endpoint: no user or password in a URL",
    ),
    (
        "models: {small: {firstTokenSeconds: 200}}",
        "models.small.firstTokenSeconds: not before deadlineSeconds, 120",
    ),
    ("models: {small: {aliases: [large]}}", "large is another entry's name or alias"),
    ("test: {skipModels: [huge]}", 'test.skipModels: "huge" is no entry of models: choose from large'),
    (engine("kvCacheGiB: 8, deviceMemory: 0.5"), "models.m.deviceMemory: only"),
    (
        f"models: {{m: {{{ENGINE.replace('vllm', 'llamacpp')}, {ROOM}, kvCacheGiB: 8}}}}",
        "models.m.kvCacheGiB: only",
    ),
    (engine("maxInput: 4000, maxContext: 8192"), "models.m.maxInput: only"),
    ("models: {small: {numa: true}}", "models.small.numa: only"),
    (
        engine("cache: {size: 40Gi, existingClaim: c, storageClass: fast}").replace(
            "cache: {size: 40Gi}, ", ""
        ),
        "models.m.cache.storageClass: existingClaim has its own class",
    ),
    ("models: {small: {profile: deepsek-r1}}", "models.small.profile"),
    # how many
    (
        "gateway: {replicas: 3, autoscaling: {enabled: true, maxReplicas: 5}}",
        "gateway.replicas: autoscaling.enabled decides how many",
    ),
    (
        "gateway: {replicas: 2, autoscaling: {enabled: false}, podDisruptionBudget: {minAvailable: 2}}",
        "gateway.podDisruptionBudget.minAvailable: 2 of 2 pods lets no node be drained",
    ),
    (
        "reranking: {replicas: 3, podDisruptionBudget: {minAvailable: 100%}}",
        "reranking.podDisruptionBudget.minAvailable: 100% of 3 pods",
    ),
    (
        "reranking: {replicas: 3, podDisruptionBudget: {maxUnavailable: 0}}",
        "reranking.podDisruptionBudget.maxUnavailable: 0 lets no node be drained",
    ),
    (
        "gateway: {autoscaling: {enabled: true, maxReplicas: 3}, resources: {requests: {cpu: null}}}",
        "gateway.resources.requests.cpu: autoscaling by CPU is a share of it",
    ),
    (
        "embedding: {replicas: 2, cache: {enabled: false, accessMode: ReadWriteOncePod}}",
        "embedding.cache.accessMode: ReadWriteOncePod is for one pod",
    ),
    # variables
    ("env: {GATEWY_HOSTS: a}", "env.GATEWY_HOSTS: no setting of Ragline; the closest is GATEWAY_HOSTS"),
    (
        "gateway: {env: {RERANKING_TOPN: '4'}}",
        "gateway.env.RERANKING_TOPN: no setting of Ragline; the closest is RERANKING_TOP_N",
    ),
    (
        "env: {relevance_floor: '0.3'}",
        "env.relevance_floor: no setting of Ragline; the closest is RELEVANCE_FLOOR",
    ),
    (
        "dataprep: {env: {DATAPREP_PARSER: '1'}}",
        "dataprep.env.DATAPREP_PARSER: no setting of Ragline; the closest is DATAPREP_PARSERS",
    ),
    (
        "gateway: {env: {DATAPREP_PARSERS: '1'}}",
        "gateway.env.DATAPREP_PARSERS: is read by dataprep, not by gateway",
    ),
    ("env: {LLM_BACKEND: large}", "env.LLM_BACKEND: llm.backend decides it"),
    ("generation: {env: {LLM_BACKENDS: '[]'}}", "generation.env.LLM_BACKENDS: models decides it"),
    (
        "retrieval: {env: {VECTOR_URL: 'qdrant://q:6333'}}",
        "retrieval.env.VECTOR_URL: retrieval.store decides it",
    ),
    ("env: {HF_TOKEN: hf_abc}", "env.HF_TOKEN: secrets.hfToken decides it"),
    (
        "gateway: {env: {GATEWAY_PORT: '9000'}}",
        "gateway.env.GATEWAY_PORT: the chart's ports, probes and volumes depend",
    ),
    ("env: {HTTPS_PROXY: 'http://p:3128'}", "env.HTTPS_PROXY: proxy.https decides it"),
    ("gateway: {env: {A: b}, extraEnv: [{name: A, value: c}]}", "gateway.extraEnv[0].name: A is there twice"),
    # the pod
    (
        "gateway: {extraVolumeMounts: [{name: ca, mountPath: /ca}]}",
        'gateway.extraVolumeMounts[0].name: extraVolumes has no "ca"',
    ),
    (
        "gateway: {extraVolumes: [{name: tmp, emptyDir: {}}]}",
        "gateway.extraVolumes[0].name: tmp is the name of another volume",
    ),
    (
        "retrieval: {extraVolumes: [{name: a, emptyDir: {}}], extraVolumeMounts: [{name: a, mountPath: /tmp}]}",
        "retrieval.extraVolumeMounts[0].mountPath: something is mounted at /tmp already",
    ),
    (
        "gateway: {podLabels: {app.kubernetes.io/component: front}}",
        "gateway.podLabels: app.kubernetes.io/component is what",
    ),
    (
        "gateway: {extraContainers: [{name: side, image: a, ports: [{containerPort: 8888}]}]}",
        "gateway.extraContainers[0].ports: 8888 is taken in this pod",
    ),
    (
        "gateway: {extraContainers: [{name: gateway, image: a}]}",
        "gateway.extraContainers[0].name: gateway is the name of another",
    ),
    (
        "gateway: {tolerations: [{key: a, operator: Exists, value: b}]}",
        "gateway.tolerations[0].value: operator Exists takes none",
    ),
    (
        "gateway: {service: {type: ClusterIP, nodePort: 30100}}",
        "gateway.service.nodePort: a ClusterIP has none",
    ),
    (
        "gateway: {service: {type: NodePort, nodePort: 8080}}",
        "gateway.service.nodePort: 8080 is outside 30000 to 32767",
    ),
    (
        "gateway: {service: {type: NodePort, nodePort: 30100}}\nretrieval: {service: {type: NodePort, nodePort: 30100}}",
        "retrieval.service.nodePort: gateway has 30100 already",
    ),
    # names and networks
    (
        "ingress: {enabled: true, hosts: ['https://rag.example.com']}",
        "has a scheme: give the host alone, rag.example.com",
    ),
    (
        "ingress: {enabled: true, hosts: [rag.example.com/chat]}",
        'ingress.hosts[0]: "rag.example.com/chat" has a path',
    ),
    (
        "ingress: {enabled: true, hosts: ['rag.example.com:443']}",
        'ingress.hosts[0]: "rag.example.com:443" has a port',
    ),
    (
        "ingress: {enabled: true, hosts: [Rag_1.example.com]}",
        'ingress.hosts[0]: "Rag_1.example.com" is no host name',
    ),
    ("ingress: {enabled: true, hosts: [10.0.0.7]}", 'ingress.hosts[0]: "10.0.0.7" is an address'),
    ("ingress: {enabled: true, hosts: [a.b, a.b]}", "ingress.hosts: a host is there twice"),
    ("ingress: {hosts: [rag.example.com]}", "ingress.enabled: hosts or tls are given and it is false"),
    (
        "ingress: {enabled: true, hosts: [a.b], tls: [{hosts: [a.b]}]}",
        "ingress.tls[0].secretName: the Secret with the",
    ),
    (
        "ingress: {enabled: true, hosts: [a.b], tls: [{secretName: t, hosts: [c.d]}]}",
        'ingress.tls[0].hosts: "c.d" is none of ingress.hosts',
    ),
    (
        "gateway: {hosts: ['http://rag.example.com']}",
        'gateway.hosts[0]: "http://rag.example.com" has a scheme',
    ),
    (
        "httpRoute: {enabled: true, parentRefs: [{name: g}], timeout: 600s, hostnames: ['a.b:80']}",
        'httpRoute.hostnames[0]: "a.b:80" has a port',
    ),
    (
        "httpRoute: {enabled: true, parentRefs: [{namespace: g}]}",
        "httpRoute.parentRefs[0].name: the name of the Gateway",
    ),
    (
        "httpRoute: {enabled: true, parentRefs: [{name: g}], timeout: 30s}",
        "httpRoute.timeout: 30s ends streams before deadlineSeconds, 120",
    ),
    ("keys: {enabled: false, existingSecret: k}", "keys.enabled: is false, and keys.existingSecret is given"),
    ("mirror: https://registry.example.com", 'mirror: "https://registry.example.com" has a scheme'),
    (
        "image: {registry: registry.example.com/team/}",
        'image.registry: "registry.example.com/team/" ends with a slash',
    ),
    (
        "proxy: {https: 'proxy.example.com:3128'}",
        'proxy.https: "proxy.example.com:3128": write it as http://',
    ),
    ("proxy: {http: 'http://me:word@proxy:3128'}", "proxy.http: no user or password in a value"),
    ("proxy: {https: 'socks5://proxy:1080'}", 'proxy.https: "socks5://proxy:1080": write it as http://'),
    ("proxy: {https: 'http://p:1', noProxy: 'a.b c.d'}", 'proxy.noProxy: "a.b c.d"'),
    (
        "proxy: {http: '', https: '', noProxy: .example.com}",
        "proxy.noProxy: without proxy.http and proxy.https there is no proxy",
    ),
    ("networkPolicy: {outside: {cidr: 10.0.0.0}}", 'networkPolicy.outside.cidr: "10.0.0.0" is no network'),
    (
        "networkPolicy: {outside: {cidr: 10.0.0.0/33}}",
        'networkPolicy.outside.cidr: "10.0.0.0/33" is no network',
    ),
    (
        "networkPolicy: {outside: {except: [300.1.0.0/16]}}",
        'networkPolicy.outside.except[0]: "300.1.0.0/16" is no',
    ),
    (
        "networkPolicy: {gatewayFrom: [{ipBlock: {cidr: 10.1.1.1}}]}",
        "networkPolicy.gatewayFrom[0].ipBlock.cidr",
    ),
    ("retrieval: {store: 'redis://'}", 'retrieval.store: "redis://" has no host'),
    ("otlpEndpoint: 'http://u:p@collector:4318'", "otlpEndpoint: no user or password in a URL"),
    (
        "commonLabels: {app.kubernetes.io/name: mine}",
        "commonLabels: app.kubernetes.io/name is the chart's own",
    ),
    (
        "prometheusRule: {leaveOut: [RaglineDwn]}",
        'prometheusRule.leaveOut: "RaglineDwn" is none: choose from RaglineDown',
    ),
    (
        "networkPolicy: {extraEgress: [{components: [gatway]}]}",
        'networkPolicy.extraEgress[0].components: "gatway" is none',
    ),
    ("trustBundle: {configMap: a, secret: b}", "trustBundle: a configMap or a secret, not both"),
    (
        "networkPolicy: {outside: {cidr: 10.0.0.0/8, except: [10.0.0.0/7]}}",
        "networkPolicy.outside.except[0]: 10.0.0.0/7 leaves",
    ),
    (
        "models: {m: {engine: external, endpoint: 'http://v:70000', modelId: a}}",
        "models.m.endpoint: 70000 is no port",
    ),
    ("retrieval: {store: 'qdrant://q:99999'}", "retrieval.store: 99999 is no port: 1 to 65535"),
    (
        "tei: {embedding: {enabled: true, modelId: google/embeddinggemma-300m}, reranking: {enabled: true}}",
        "tei.embedding.modelId: google/embeddinggemma-300m is given out by the hub",
    ),
]

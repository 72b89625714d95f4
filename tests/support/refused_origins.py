"""Specs that the schema refuses in what leads to origins and clients: credentials, a network's proxy, logins."""

from __future__ import annotations

from typing import Any

from support.refused_specs import Refusal, mounted

HOSTS = {"inline": "git.example.com ssh-ed25519 AAAA"}


def credential(kind: str, **changes: Any) -> dict[str, Any]:
    """A spec with one credential."""
    return {"credentials": [{"name": "a", "type": kind, "secretRef": {"name": "a"}, **changes}]}


def egress(**changes: Any) -> dict[str, Any]:
    return {"egressProxy": changes}


FIRST = "spec.credentials[0]"
MATCH = (
    "the types basic, token, ssh and githubApp need match; the files netrc, gitConfig and hgrc name their hosts "
    "themselves"
)
MATCH_TEXT = "write a host in lower case, or host and path without a slash at the end, such as git.example.com/team"
SSH_ONLY = "port, insteadOf and insecureIgnoreHostKey belong to the type ssh; remove them"
KNOWN = "set knownHosts exactly with the type ssh; it shows which host key is right (ssh-keyscan prints it)"
APP = "set appID and installationID exactly with the type githubApp"
EGRESS = "set httpProxy, httpsProxy or both, or secretRef, whose Secret holds them"
LOGIN = "set exactly one of secretRef and generate"
HOST = {"match": "git.example.com"}
ORIGIN_RULES: list[Refusal] = [
    *((credential(kind), f"{FIRST}.match", MATCH) for kind in ("basic", "token")),
    (credential("netrc", **HOST), f"{FIRST}.match", MATCH),
    *(
        (credential("token", match=text), f"{FIRST}.match", MATCH_TEXT)
        for text in ("https://git.example.com", "git.example.com/", "git.example.com/../x", "Git.example.com", "a b")
    ),
    (
        credential("basic", username="me", **HOST),
        f"{FIRST}.username",
        "only the types token and ssh take a user name here; that of type basic stands in the Secret",
    ),
    (
        credential("basic", secretRef={"name": "a", "key": "b"}, **HOST),
        f"{FIRST}.secretRef.key",
        "the type basic reads the keys username and password; remove the key",
    ),
    (credential("token", port=22, **HOST), FIRST, SSH_ONLY),
    (credential("token", insteadOf=[], **HOST), FIRST, SSH_ONLY),
    (credential("ssh", **HOST), f"{FIRST}.knownHosts", KNOWN),
    (credential("token", knownHosts=HOSTS, **HOST), f"{FIRST}.knownHosts", KNOWN),
    (credential("ssh", knownHosts=HOSTS, insecureIgnoreHostKey=True, **HOST), f"{FIRST}.knownHosts", KNOWN),
    (
        credential("ssh", knownHosts={**HOSTS, "configMapRef": {"name": "a"}}, **HOST),
        f"{FIRST}.knownHosts",
        "set exactly one of configMapRef, secretRef and inline",
    ),
    (
        credential("ssh", knownHosts={"inline": "a ssh-rsa 'b'"}, **HOST),
        f"{FIRST}.knownHosts.inline",
        "write lines of a known_hosts file with host, type and key, as ssh-keyscan prints them",
    ),
    (credential("githubApp", appID=1, **HOST), f"{FIRST}.appID", APP),
    (credential("token", installationID=1, **HOST), f"{FIRST}.appID", APP),
    *(
        (
            {"extraEnv": [{"name": name, "value": "x"}]},
            "spec.extraEnv[0].name",
            "this variable is set by the operator; use the field of that setting instead",
        )
        for name in ("XDG_RUNTIME_DIR", "EGRESS_NO_PROXY", "ATHENS_CREDENTIALS_FILE", "ATHENS_ATHENS_FOLLOW")
    ),
    (
        mounted("/run/athens"),
        "spec.extraVolumeMounts[0].mountPath",
        "the proxy uses this folder itself; mount the volume elsewhere",
    ),
    (egress(), "spec.egressProxy", EGRESS),
    (egress(httpProxy="http://a:1", secretRef={"name": "a"}), "spec.egressProxy", EGRESS),
    (
        egress(noProxy=["a"], secretRef={"name": "a"}),
        "spec.egressProxy.noProxy",
        "with secretRef the key noProxy of the Secret holds the hosts; remove noProxy",
    ),
    (
        egress(httpProxy="http://a:1", noProxy=["a,b"]),
        "spec.egressProxy.noProxy[0]",
        "write a host, a domain or a network, such as .corp.example",
    ),
    (
        egress(httpProxy="http://user:secret@a:1"),
        "spec.egressProxy.httpProxy",
        "write an http or https URL without user name, quotes, spaces and braces",
    ),
    (
        {**egress(httpProxy="http://a:1"), "extraEnv": [{"name": "https_proxy", "value": "http://b:1"}]},
        "spec.extraEnv",
        "egressProxy sets the variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY; remove them from extraEnv",
    ),
    ({"auth": {"basic": {}}}, "spec.auth.basic", LOGIN),
    ({"auth": {"basic": {"secretRef": {"name": "a"}, "generate": True}}}, "spec.auth.basic", LOGIN),
    (
        {"auth": {"clients": [{"name": "a b", "secretRef": {"name": "a"}}]}},
        "spec.auth.clients[0].name",
        "use lower case letters, digits and dashes",
    ),
]

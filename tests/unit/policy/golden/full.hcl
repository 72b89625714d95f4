# Rendered by athens-operator; edits are undone, change the policies instead.
# default: DownloadPolicy team-a/base (Selected)
mode = "sync"
downloadURL = ""

# ClusterDownloadPolicy guard#evil (Mandatory)
download "example.com/evil" {
  mode = "deny"
  name = "guard#evil"
  reason = "SEC-112, typosquat"
}

# ClusterDownloadPolicy guard#crypto (Mandatory)
download "example.org/crypto" {
  mode = "deny"
  versions = ">=v0.25.0 <v0.31.0"
  name = "guard#crypto"
  reason = "broken signature check"
}

# AthensProxy team-a/go#big (Inline)
download "k8s.io/kubernetes" {
  mode = "redirect"
  downloadURL = "https://goproxy.example.com"
}

# DownloadPolicy team-a/base#internal (Selected)
download "git.corp.example/*" {
  mode = "sync"
}

# DownloadPolicy team-a/base#licence (Selected)
download "example.net/*" {
  mode = "deny"
  audit = true
  name = "team-a/base#licence"
  reason = "LEGAL-7 trial"
}

# DownloadPolicy team-a/base#fresh (Selected)
download "*" {
  mode = "allow"
  minAge = "72h"
  name = "team-a/base#fresh"
}

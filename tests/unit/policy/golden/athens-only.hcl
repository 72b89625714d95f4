# Rendered by athens-operator; edits are undone, change the policies instead.
# default: DownloadPolicy team-a/base (Selected)
mode = "async"
downloadURL = ""

# AthensProxy team-a/go#big (Inline)
download "k8s.io/kubernetes" {
  mode = "redirect"
  downloadURL = "https://goproxy.example.com"
}

# DownloadPolicy team-a/base#internal (Selected)
download "git.corp.example/*" {
  mode = "sync"
}

# Rendered by athens-operator; edits are undone, change the policies instead.
# default: DownloadPolicy team-a/everything (Referenced)
mode = "redirect"
downloadURL = "https://goproxy.example.com/base"

# DownloadPolicy team-a/everything#all (Referenced)
download "example.com/[a-c]?/*" {
  mode = "async_redirect"
  downloadURL = "https://goproxy.example.com/base"
  versions = "<=v2.0.0+incompatible"
  minAge = "1h30m"
  upstream = "https://a.example,https://b.example|direct"
  audit = true
  name = "team-a/everything#all"
  reason = "say \"why\" \\ ä"
}

# DownloadPolicy team-a/everything#all (Referenced)
download "*.example.org" {
  mode = "async_redirect"
  downloadURL = "https://goproxy.example.com/base"
  versions = "<=v2.0.0+incompatible"
  minAge = "1h30m"
  upstream = "https://a.example,https://b.example|direct"
  audit = true
  name = "team-a/everything#all"
  reason = "say \"why\" \\ ä"
}

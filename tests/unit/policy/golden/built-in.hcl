# Rendered by athens-operator; edits are undone, change the policies instead.
# default: built-in
mode = "sync"
downloadURL = ""

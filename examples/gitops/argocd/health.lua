-- Health of AthensProxy, DownloadPolicy and ClusterDownloadPolicy for Argo CD: the same script for all of them, below
-- resource.customizations.health.athensproxy.dev_<kind> in the ConfigMap argocd-cm.
local hs = {status = "Progressing", message = "waiting for the operator"}
if obj.spec ~= nil and obj.spec.suspend then
  return {status = "Suspended", message = "spec.suspend is set"}
end
local s = obj.status
if s == nil or s.conditions == nil or (s.observedGeneration or 0) < obj.metadata.generation then return hs end
local by = {}
for _, c in ipairs(s.conditions) do by[c.type] = c end
local function is(t, v) return by[t] ~= nil and by[t].status == v end
if by.Ready ~= nil then hs.message = by.Ready.message end
if is("Suspended", "True") then hs.status = "Suspended"
elseif is("Stalled", "True") then hs.status = "Degraded"
elseif is("Reconciling", "True") then hs.status = "Progressing"
elseif is("Ready", "True") then hs.status = "Healthy"
elseif is("Ready", "False") then hs.status = "Degraded" end
return hs

-- Health checks of Argo CD for the resources of appcred.io, under `resource.customizations.health.appcred.io_HomeAssistant`
-- and `..._ApplicationCredential` in the ConfigMap argocd-cm. What waits for somebody's consent is Suspended: all is done
-- that can be done without a person.
local health = {status = "Progressing", message = "it is being looked at"}
local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return health
end
local found = {}
for _, condition in ipairs(status.conditions) do
  if condition.status == "True" then
    found[condition.type] = condition
  end
  if condition.type == "Ready" then
    health.message = condition.message
  end
end
if found.Stalled ~= nil then
  health.status = "Degraded"
elseif found.Ready == nil then
  health.status = "Progressing"
elseif obj.spec.suspend then
  health.status = "Suspended"
elseif found.ConsentRequired ~= nil then
  health.status = "Suspended"
  health.message = found.ConsentRequired.message
else
  health.status = "Healthy"
end
return health

"""The controller: turns AthensProxy and download policies into Deployments, ConfigMaps and Services."""

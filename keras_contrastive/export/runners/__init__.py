"""Programs that run an artefact with its runtime alone; of ours they see each other."""

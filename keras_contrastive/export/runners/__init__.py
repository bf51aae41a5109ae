"""Programs that run an artefact with its runtime alone; they import nothing of ours."""

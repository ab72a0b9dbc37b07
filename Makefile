# Each target only calls `python -m course`, which makes .venv where it is missing.
# On Windows without make, type the same commands: py -m course lab
PYTHON ?= python3

.PHONY: help lab test run

help:
	@echo "make lab                          open the course in JupyterLab (start here)"
	@echo "make run [LESSON=01] [PROFILE=smoke|cpu|gpu]   run every lesson, or one, on this machine"
	@echo "make test [ARGS='-k mlp']         everything that CI runs"
	@echo
	@echo "Another Python: make lab PYTHON=python3.12. More: $(PYTHON) -m course --help"

lab:
	@$(PYTHON) -m course lab

test:
	@$(PYTHON) -m course test $(if $(ARGS),-- $(ARGS))

run:
	@$(PYTHON) -m course run $(LESSON) $(if $(PROFILE),--profile $(PROFILE))

"""How a run is carried out: the request, its plan, the stages, the thread, the machine's queue."""

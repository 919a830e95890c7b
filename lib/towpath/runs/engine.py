from papermill.engines import NBClientEngine


class TowpathEngine(NBClientEngine):
    pass

"""The paper's printed numbers, in percent: shown beside our results, for comparison only."""

TABLE3 = {"AT-L2": 10.8, "DVR+AT-L2": 35.6, "AT-Linf": 79.0, "DVR+AT-Linf": 84.20}

TABLE4 = {
    "Linf": {
        "row": "Linf 24/255",
        "values": {"AT": 10.28, "AE+AT": 25.56, "VAE+AT": 8.71, "DVR+AT": 28.54, "PxN+AT": 36.08},
    },
    "L2": {
        "row": "L2 1.5",
        "values": {"AT": 52.9, "AE+AT": 47.95, "VAE+AT": 45.04, "DVR+AT": 54.11, "PxN+AT": 59.67},
    },
}

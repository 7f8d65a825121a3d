"""No module imports itself by way of others."""

import grimp
import networkx


def test_no_circle_of_imports_between_modules():
    graph = grimp.build_graph("robust3d", cache_dir=None, exclude_type_checking_imports=True)
    edges = networkx.DiGraph(
        (one, other) for one in graph.modules for other in graph.find_modules_directly_imported_by(one)
    )
    assert [sorted(circle) for circle in networkx.strongly_connected_components(edges) if len(circle) > 1] == []

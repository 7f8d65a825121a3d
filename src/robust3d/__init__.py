"""robust3d: does teaching a network the 3D shape of things make it more robust?"""

import os

if "ROBUST3D_SOURCES" in os.environ:
    from robust3d.loading import join

    join()

"""robust3d: does teaching a network the 3D shape of things make it more robust?"""

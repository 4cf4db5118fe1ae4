#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ntfs_tree.py IMAGE FOLDER - copies a folder into an NTFS image, without mounting it.

By libntfs-3g (package ntfs-3g) through ctypes. A name that ends in ".packed" is stored compressed,
without that ending.
"""
import ctypes
import glob
import os
import stat
import sys

AT_DATA = 0x80
FILE_ATTR_COMPRESSED = 0x800


def library():
    found = sorted(glob.glob("/lib/*/libntfs-3g.so.*") + glob.glob("/usr/lib/*/libntfs-3g.so.*"))
    if not found:
        sys.exit("ntfs_tree: no libntfs-3g")
    n = ctypes.CDLL(found[0], use_errno=True)
    n.ntfs_mount.restype = n.ntfs_pathname_to_inode.restype = n.ntfs_create.restype = ctypes.c_void_p
    n.ntfs_mount.argtypes = [ctypes.c_char_p, ctypes.c_ulong]
    n.ntfs_umount.argtypes = [ctypes.c_void_p, ctypes.c_int]
    n.ntfs_pathname_to_inode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p]
    n.ntfs_create.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint8, ctypes.c_uint32]
    n.ntfs_attr_open.restype = ctypes.c_void_p
    n.ntfs_attr_open.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32]
    n.ntfs_attr_pwrite.restype = ctypes.c_int64
    n.ntfs_attr_pwrite.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_char_p]
    n.ntfs_attr_pclose.argtypes = n.ntfs_attr_close.argtypes = n.ntfs_inode_close.argtypes = [ctypes.c_void_p]
    n.ntfs_set_ntfs_attrib.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
    return n


def make(n, vol, path, kind):
    folder, name = os.path.split(path)
    parent = n.ntfs_pathname_to_inode(vol, None, folder.encode())
    if not parent:
        sys.exit(f"ntfs_tree: no folder {folder}")
    wide = name.encode("utf-16le")
    made = n.ntfs_create(parent, 0, wide, len(name), kind)
    n.ntfs_inode_close(parent)
    if not made:
        sys.exit(f"ntfs_tree: cannot make {path}: errno {ctypes.get_errno()}")
    return made


def put(n, vol, path, data):
    packed = path.endswith(".packed")
    inode = make(n, vol, path.removesuffix(".packed"), stat.S_IFREG)
    if packed and n.ntfs_set_ntfs_attrib(inode, FILE_ATTR_COMPRESSED.to_bytes(4, "little"), 4, 0):
        sys.exit(f"ntfs_tree: cannot pack {path}")
    attr = n.ntfs_attr_open(inode, AT_DATA, None, 0)
    at = 0
    while at < len(data):
        done = n.ntfs_attr_pwrite(attr, at, len(data) - at, data[at:])
        if done <= 0:
            sys.exit(f"ntfs_tree: cannot write {path}: errno {ctypes.get_errno()}")
        at += done
    if packed:
        n.ntfs_attr_pclose(attr)
    n.ntfs_attr_close(attr)
    n.ntfs_inode_close(inode)


def main(image, folder):
    n = library()
    vol = n.ntfs_mount(image.encode(), 0)
    if not vol:
        sys.exit(f"ntfs_tree: {image} is no NTFS image")
    for at, folders, files in os.walk(folder):
        below = "/" + os.path.relpath(at, folder) if at != folder else "/"
        for name in sorted(folders):
            n.ntfs_inode_close(make(n, vol, os.path.join(below, name), stat.S_IFDIR))
        for name in sorted(files):
            with open(os.path.join(at, name), "rb") as f:
                put(n, vol, os.path.join(below, name), f.read())
    if n.ntfs_umount(vol, 0):
        sys.exit("ntfs_tree: cannot unmount")


if __name__ == "__main__":
    main(*sys.argv[1:3])

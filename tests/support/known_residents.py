"""A method for tests that asks for known amounts and touches known parts of them. Chosen by `hvg.batch_key`.

Every amount is asked for on a line of its own, named by the comment at its end; each number is odd on purpose, so that none
can pass for another's.
"""

import ctypes
import mmap
import os
import signal
import time

import numpy as np

from support.known_methods import table

MIB = 2**20
SETTLE_SECONDS = 0.6

LIBRARY = """\
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct order { size_t size, touched; char *block; };

char *give(size_t size) { return malloc(size); }
void take_back(char *block) { free(block); }

static void *fill(void *given) {
    struct order *order = given;
    order->block = malloc(order->size);
    memset(order->block, 1, order->touched);
    return NULL;
}

char *give_in_thread(size_t size, size_t touched) {
    struct order order = {size, touched, NULL};
    pthread_t thread;
    pthread_create(&thread, NULL, fill, &order);
    pthread_join(thread, NULL);
    return order.block;
}
"""

# Label: bytes asked for, bytes touched of them.
HELD = {
    "bytearray": (21 * MIB + 11, 21 * MIB + 11),
    "numpy-not": (45 * MIB + 13, 0),
    "numpy-half": (34 * MIB + 2, 17 * MIB + 1),
    "numpy-whole": (23 * MIB + 3, 23 * MIB + 3),
    "mmap-not": (29 * MIB, 0),
    "mmap-half": (38 * MIB, 19 * MIB),
    "mmap-whole": (22 * MIB, 22 * MIB),
    "c-not": (51 * MIB + 5, 0),
    "c-half": (26 * MIB + 2, 13 * MIB + 1),
    "c-whole": (27 * MIB + 7, 27 * MIB + 7),
}
BEFORE_BYTES = 41 * MIB + 9
AFTER_BYTES = 31 * MIB + 15
# Without a Python frame, all in one place.
IN_THREAD = ((301 * MIB + 3, 0), (62 * MIB + 2, 31 * MIB + 1), (33 * MIB + 1, 33 * MIB + 1))
# Filled last, and more than a step: whatever is looked at after it was begun sees all the rest as it stays.
BALLAST_BYTES = 64 * MIB
SMALL_COUNT, SMALL_BYTES = 1000, 3001


def hold_all() -> None:
    library = ctypes.CDLL(os.environ["SOMARAY_TEST_LIBRARY"])
    library.give.restype = library.give_in_thread.restype = ctypes.c_void_p
    library.give.argtypes = [ctypes.c_size_t]
    library.give_in_thread.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
    library.take_back.argtypes = [ctypes.c_void_p]
    size = {label: asked for label, (asked, _) in HELD.items()}

    gone = np.empty(BEFORE_BYTES, np.uint8)  # line: before
    gone[:] = 1
    time.sleep(0.1)
    del gone

    # A bytearray asks for one byte more than it holds.
    array = bytearray(size["bytearray"] - 1)  # line: bytearray
    arrays = [
        np.empty(size["numpy-not"], np.uint8),  # line: numpy-not
        np.empty(size["numpy-half"], np.uint8),  # line: numpy-half
        np.empty(size["numpy-whole"], np.uint8),  # line: numpy-whole
    ]
    maps = [
        mmap.mmap(-1, size["mmap-not"]),  # line: mmap-not
        mmap.mmap(-1, size["mmap-half"]),  # line: mmap-half
        mmap.mmap(-1, size["mmap-whole"]),  # line: mmap-whole
    ]
    blocks = [
        library.give(size["c-not"]),  # line: c-not
        library.give(size["c-half"]),  # line: c-half
        library.give(size["c-whole"]),  # line: c-whole
    ]
    small = [bytearray(SMALL_BYTES - 1) for _ in range(SMALL_COUNT)]  # line: small
    for name, given in zip(("numpy-not", "numpy-half", "numpy-whole"), arrays, strict=True):
        given[: HELD[name][1]] = 1
    for name, mapped in zip(("mmap-not", "mmap-half", "mmap-whole"), maps, strict=True):
        mapped[: HELD[name][1]] = b"x" * HELD[name][1]
    for name, block in zip(("c-not", "c-half", "c-whole"), blocks, strict=True):
        ctypes.memset(block, 1, HELD[name][1])
    blocks += [library.give_in_thread(*sizes) for sizes in IN_THREAD]
    ballast = bytearray(BALLAST_BYTES)
    time.sleep(SETTLE_SECONDS)
    del array, arrays, small, ballast
    for mapped in maps:
        mapped.close()
    for block in blocks:
        library.take_back(block)
    after = bytearray(AFTER_BYTES - 1)  # line: after
    time.sleep(0.1)
    del after


def everywhere(client) -> None:
    """In the driver's main thread; with a cluster, in a Dask worker's thread."""
    if client is None:
        hold_all()
    else:
        client.submit(hold_all).result()


def die_once() -> None:
    marker = os.path.join(os.environ["SOMARAY_TEST_DIR"], "died")
    array = np.empty(HELD["numpy-half"][0], np.uint8)  # line: killed
    array[: HELD["numpy-half"][1]] = 1
    ballast = bytearray(BALLAST_BYTES)
    time.sleep(SETTLE_SECONDS)
    del ballast
    if not os.path.exists(marker):
        open(marker, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)


def kill_worker(client) -> None:
    client.submit(die_once).result()


def compute_hvg(source, run, hvg, client, phase):
    with phase("hvg"):
        globals()[hvg.batch_key](client)
    return table()

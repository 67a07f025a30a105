/*
 * Drystone: the C interface of libdrystone.so and libdrystone.a.
 *
 * These are the standard functions under their standard names. A program that links to Drystone, or
 * that runs with LD_PRELOAD=libdrystone.so, gets them whether it includes this file or not; here is
 * what they promise beyond the standards, and one place that declares them all.
 *
 * Common to all:
 *   - A block is aligned to 16 bytes at the least, and usable to the end of what was asked for.
 *   - A request for 0 bytes gives a pointer of its own, which can be freed.
 *   - A request for more than PTRDIFF_MAX bytes fails. So does a count times a size that overflows.
 *   - A failure changes nothing. Functions that return a pointer return NULL then, and set errno to
 *     ENOMEM, or to EINVAL where an argument could never be served. Success leaves errno alone.
 *   - They may be called from any thread, and in a child forked from any thread at any moment, in a
 *     signal handler too.
 *   - They are not async-signal-safe: a signal handler must not call them. One that has interrupted
 *     one of them, and finds its lock taken, ends the process with a line on stderr; elsewhere a
 *     block may be given twice. A handler may call fork(2), and, as far as this library is
 *     concerned, exit(3) and _exit(2). The shared library has an _exit of its own, which tells of
 *     misuses that no call was told of, and is the C library's otherwise.
 *
 * Misuse. A pointer handed in that is not a live block (freed before, inside a block, unaligned,
 * from elsewhere), or a block with a size that is not its own, is never acted upon. What happens
 * instead is for DRYSTONE_ON_MISUSE to say, in the environment:
 *   abort    one line on stderr that names the misuse, then SIGABRT; the default
 *   report   the line; the call has no effect, and the program goes on
 *   ignore   the call has no effect, and the program goes on
 *
 * The line names the misuse, the pointer, the block, the process, the thread that noticed it, and
 * whether that was at the call.
 *
 * With DRYSTONE_QUARANTINE=SIZE freed blocks wait, first in first out, filled with a pattern, until
 * they take that many bytes, 16 for the place of each among them: then a late double free and a
 * write after free are reported too. K, M or G behind the number stands for 1,024 bytes and its
 * second and third power.
 *
 * With DRYSTONE_GUARD=1/5000 one block in 5,000 lies at the edge of pages that nobody can touch;
 * when it is freed, nobody can touch its own pages either. An overflow, an underflow or a use after
 * free of it is a SIGSEGV, and lines on stderr name it, with the functions of the access, the
 * allocation and the free. A handler of SIGSEGV that the program had by then is called after that.
 *
 * Figures. With DRYSTONE_STATS=1 in the environment a process that exits prints a table on stderr:
 * calls of each function, blocks and bytes live and free, misuses, and whether the heap is sound.
 * With DRYSTONE_STATS=/an/absolute/path it appends them to that file, as one line of JSON. A forked
 * child counts its own calls, and prints no table if it closes its stderr before it exits. Where
 * exit(3) is called in a signal handler that has interrupted the allocator there are no figures,
 * and nothing is looked for that no call has found.
 *
 * DRYSTONE_HELP=1 prints these variables when the process starts. A name that begins with DRYSTONE_
 * and is none of them, a value that a variable does not take, and a file that can't be written are
 * said once on stderr. The variables are ignored in a program that has more rights than its caller.
 *
 * Link with -ldrystone, or name libdrystone.a among the objects; -static works with the latter. (A
 * C library older than glibc 2.34 needs -lpthread and -ldl behind it.) pkg-config knows it as
 * drystone.
 *
 * Further names of glibc's for some of these functions: blocks of either go with the other.
 *   __libc_malloc   __libc_free     __libc_calloc   __libc_realloc   __libc_memalign
 *   __libc_valloc   __libc_pvalloc  __libc_mallopt  __libc_mallinfo  __posix_memalign
 *
 * C++. The shared library has operator new and delete in every form; blocks of new are malloc's.
 * Without memory, new calls the program's handler, then throws std::bad_alloc, or returns a null
 * pointer where it is told not to throw; in a program without a C++ runtime it says so, and aborts.
 * The sized deletes look at the size. Where a program has replaced an operator that the standard
 * has another one call, that other one calls it; where it has a malloc or free of its own, all of
 * them are the runtime's. The archive has the sized deletes alone: the rest are the runtime's, and
 * one that is linked statically is called by those too, and then the size is not looked at.
 * Of one object, and of arrays:
 *   new(size)                     _Znwm                                _Znam
 *   new(size, nothrow)            _ZnwmRKSt9nothrow_t                  _ZnamRKSt9nothrow_t
 *   new(size, align)              _ZnwmSt11align_val_t                 _ZnamSt11align_val_t
 *   new(size, align, nothrow)     _ZnwmSt11align_val_tRKSt9nothrow_t
 *                                 _ZnamSt11align_val_tRKSt9nothrow_t
 *   delete(block)                 _ZdlPv                               _ZdaPv
 *   delete(block, nothrow)        _ZdlPvRKSt9nothrow_t                 _ZdaPvRKSt9nothrow_t
 *   delete(block, size)           _ZdlPvm                              _ZdaPvm
 *   delete(block, align)          _ZdlPvSt11align_val_t                _ZdaPvSt11align_val_t
 *   delete(block, align, nothrow) _ZdlPvSt11align_val_tRKSt9nothrow_t
 *                                 _ZdaPvSt11align_val_tRKSt9nothrow_t
 *   delete(block, size, align)    _ZdlPvmSt11align_val_t               _ZdaPvmSt11align_val_t
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef DRYSTONE_H
#define DRYSTONE_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* glibc's own has struct mallinfo2 since 2.33. */
#if defined(__GLIBC__)
#include <malloc.h>
#endif

/* The version of this header; drystone_version tells the library's. */
#define DRYSTONE_VERSION "0.1.0"

/* A buffer of so many bytes holds all that drystone_stats writes. */
#define DRYSTONE_STATS_BYTES 16384

/* glibc's headers promise C++ that these do not throw, and a declaration must repeat it. */
#if defined(__cplusplus) && defined(__GLIBC__)
#if __cplusplus >= 201103L
#define DRYSTONE_NOTHROW noexcept(true)
#else
#define DRYSTONE_NOTHROW throw()
#endif
#else
#define DRYSTONE_NOTHROW
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A block of `size` bytes. */
void *malloc(size_t size) DRYSTONE_NOTHROW;

/* Frees `block`; NULL is fine. Keeps errno. */
void free(void *block) DRYSTONE_NOTHROW;

/* A block of `count` times `size` bytes, all zero. */
void *calloc(size_t count, size_t size) DRYSTONE_NOTHROW;

/*
 * Makes `block` one of `size` bytes, moved if need be, with its contents up to the smaller size.
 * NULL for a block: as malloc. 0 bytes of a block: frees it, and returns NULL with errno left
 * alone. On failure the old block is as it was. A misuse that the program survives returns NULL
 * with EINVAL.
 */
void *realloc(void *block, size_t size) DRYSTONE_NOTHROW;

/* As realloc to `count` times `size` bytes. */
void *reallocarray(void *block, size_t count, size_t size) DRYSTONE_NOTHROW;

/*
 * A block of `size` bytes at a multiple of `alignment`. NULL with EINVAL when that is not a power
 * of two. `size` need not be a multiple of it (as since C17).
 */
void *aligned_alloc(size_t alignment, size_t size) DRYSTONE_NOTHROW;

/*
 * As aligned_alloc, through `*block`. Returns 0; EINVAL when `alignment` is not a power of two or
 * less than sizeof(void *); ENOMEM. Sets neither errno nor, when it fails, `*block`.
 */
int posix_memalign(void **block, size_t alignment, size_t size) DRYSTONE_NOTHROW;

/*
 * As aligned_alloc, but that an alignment that is not a power of two is rounded up to one, as glibc
 * does it; EINVAL when there is none. Obsolete: use aligned_alloc.
 */
void *memalign(size_t alignment, size_t size) DRYSTONE_NOTHROW;

/* A block of `size` bytes at a multiple of the page size. Obsolete: use aligned_alloc. */
void *valloc(size_t size) DRYSTONE_NOTHROW;

/* As valloc, with `size` rounded up to whole pages. Obsolete: use aligned_alloc. */
void *pvalloc(size_t size) DRYSTONE_NOTHROW;

/* Bytes that `block` can hold, at least what was asked for, all of them the program's. NULL: 0. */
size_t malloc_usable_size(void *block) DRYSTONE_NOTHROW;

/*
 * Frees `block`, which malloc, calloc or realloc gave for `size` bytes in all; NULL is fine. Keeps
 * errno. A size that the block can't have been asked for with is a misuse, "size mismatch", and the
 * block stays live. That is looked at by size class (12 % apart, 16 bytes below 128), and realloc
 * may leave a block where it is while it shrinks by up to a half: within these a wrong size passes.
 * (C23.)
 */
void free_sized(void *block, size_t size) DRYSTONE_NOTHROW;

/* As free_sized, of a block that aligned_alloc gave for this alignment and size. (C23.) */
void free_aligned_sized(void *block, size_t alignment, size_t size) DRYSTONE_NOTHROW;

/* As free: the name that SunOS had for it. Obsolete. */
void cfree(void *block) DRYSTONE_NOTHROW;

/*
 * Gives idle memory back to the system: what this thread, exited threads and the common stock hold.
 * Returns 1 if any went, else 0. `pad` has no meaning here, since the heap has no top.
 */
int malloc_trim(size_t pad) DRYSTONE_NOTHROW;

/* A libc without <malloc.h>. */
#if !defined(__GLIBC__)
struct mallinfo {
    int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
#endif

/* A libc without it: all in bytes, the numbers of blocks apart. */
#if !(defined(__GLIBC__) && defined(__GLIBC_PREREQ))
#define DRYSTONE_MALLINFO2 1
#elif !__GLIBC_PREREQ(2, 33)
#define DRYSTONE_MALLINFO2 1
#endif
#ifdef DRYSTONE_MALLINFO2
struct mallinfo2 {
    size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
#endif

/*
 * The heap in ten numbers, as exact as other threads let them be. In bytes: `arena`, of spans that
 * blocks are cut from, is `uordblks` (live) and `fordblks` (the rest); `hblkhd` is of mappings that
 * are one block each; `keepcost` is idle, and malloc_trim gives it back. `ordblks` free blocks,
 * `hblks` mappings. The others are 0.
 */
struct mallinfo2 mallinfo2(void) DRYSTONE_NOTHROW;

/* As mallinfo2; a figure that an int can't hold is INT_MAX. Obsolete. */
struct mallinfo mallinfo(void) DRYSTONE_NOTHROW;

/*
 * Writes the figures to `stream` as XML of glibc's shape: one heap, no list of sizes, and what is
 * mapped now for what was mapped at most. Returns 0; EINVAL when `options` is not 0; ENOMEM; EIO.
 */
int malloc_info(int options, FILE *stream) DRYSTONE_NOTHROW;

/*
 * Sets nothing: glibc's parameters are of another kind of allocator. Returns 1 for those that
 * mallopt(3) names, whatever the value, and 0 for any other.
 */
int mallopt(int parameter, int value) DRYSTONE_NOTHROW;

/* Prints a table of figures on stderr. */
void malloc_stats(void) DRYSTONE_NOTHROW;

/*
 * Writes the figures to `buffer`, cut to `size` bytes with the null byte at the end: a JSON object,
 * its first pair "drystone_stats":1, the version of what follows. It holds what DRYSTONE_STATS
 * gives at exit (calls only when that is set), "layers", and of each class of blocks that has slabs
 * "classes". Returns the bytes that all of it takes, without the null. NULL with 0 is fine.
 */
size_t drystone_stats(char *buffer, size_t size) DRYSTONE_NOTHROW;

/* The library's version, such as "0.1.0". */
const char *drystone_version(void) DRYSTONE_NOTHROW;

#ifdef __cplusplus
}
#endif

#endif

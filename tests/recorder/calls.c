// Every function once or twice, each with a size of its own, and errno looked at around each. With
// an argument, removes the file of that name first; with two, puts its own in that place.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEEPS_ERRNO(call)                                   \
    do {                                                    \
        errno = 4242;                                       \
        call;                                               \
        if (errno != 4242) fail(#call " changed errno");    \
    } while (0)

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

// The optimizer must not know what it is handed.
static void *volatile hidden;
static void *opaque(void *block) {
    hidden = block;
    return hidden;
}

int main(int count, char **arguments) {
    if (count > 1) {
        if (unlink(arguments[1]) != 0) fail("there is no recording to remove");
        int file = open(arguments[1], O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (count > 2 && write(file, "mine", 4) != 4)
            fail("the program's own file cannot be written");
        close(file);
        if (count == 2) unlink(arguments[1]);
    }
    void *a, *b, *c, *d, *e, *f, *g;
    KEEPS_ERRNO(a = opaque(malloc(7001)));
    KEEPS_ERRNO(b = opaque(calloc(7, 1001)));
    for (int i = 0; i < 7007; i++) if (((char *)b)[i]) fail("calloc's memory is not zero");
    KEEPS_ERRNO(a = opaque(realloc(a, 7002)));
    KEEPS_ERRNO(a = opaque(reallocarray(a, 3, 30001)));
    KEEPS_ERRNO(c = opaque(realloc(NULL, 7003)));
    KEEPS_ERRNO(d = opaque(aligned_alloc(64, 7040)));
    KEEPS_ERRNO(if (posix_memalign(&e, 4096, 7005)) fail("posix_memalign"));
    KEEPS_ERRNO(f = opaque(memalign(256, 7006)));
    KEEPS_ERRNO(g = opaque(valloc(7008)));
    if ((uintptr_t)d % 64 || (uintptr_t)e % 4096 || (uintptr_t)f % 256) fail("alignment");
    if (malloc_usable_size(g) < 7008) fail("malloc_usable_size");
    KEEPS_ERRNO(free(a));
    KEEPS_ERRNO(free(NULL));
    KEEPS_ERRNO(free(b));
    if (realloc(c, 0) != NULL) fail("this test is for a realloc that frees when the size is 0");
    KEEPS_ERRNO(free(d));
    KEEPS_ERRNO(free(e));
    KEEPS_ERRNO(free(f));
    // A failed realloc: errno from the allocator, the block intact.
    memset(g, 5, 7008);
    errno = 0;
    if (realloc(g, PTRDIFF_MAX) != NULL || errno != ENOMEM) fail("an impossible realloc");
    errno = 0;
    if (reallocarray(g, SIZE_MAX, 2) != NULL || errno != ENOMEM)
        fail("an overflowing reallocarray");
    errno = 0;
    if (opaque(malloc(PTRDIFF_MAX)) != NULL || errno != ENOMEM) fail("an impossible malloc");
    if (opaque(calloc(SIZE_MAX, 2)) != NULL) fail("an overflowing calloc");
    for (int i = 0; i < 7008; i++)
        if (((char *)g)[i] != 5) fail("a failed realloc changed its block");
    KEEPS_ERRNO(free(g));
    KEEPS_ERRNO(a = opaque(pvalloc(7009)));
    KEEPS_ERRNO(b = opaque(malloc(0)));
    KEEPS_ERRNO(free(b));
    KEEPS_ERRNO(free(a));
    // Enough for the recording to grow several times, with errno looked at in each.
    for (int i = 0; i < 100000; i++) {
        KEEPS_ERRNO(a = opaque(malloc(33)));
        KEEPS_ERRNO(free(a));
    }
    puts("fine");
    return 0;
}

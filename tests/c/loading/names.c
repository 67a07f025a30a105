/*
 * Names under which glibc offers its allocator beside the standard ones: each must be of the same
 * family as malloc and free. With an argument, one name alone is used, as a program does that is
 * linked statically: a name that the archive lacks draws in the C library's allocator.
 */
#include "../check.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void __libc_free(void *);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void *__libc_valloc(size_t);
extern void *__libc_pvalloc(size_t);
extern int __posix_memalign(void **, size_t, size_t);
extern void cfree(void *);

#ifdef ONLY
int main(void)
{
    char *block = opaque(malloc(100));
    CHECK(block != NULL);
    block[0] = 1;
    ONLY;
    pid_t child = fork();
    if (child == 0) {
        free(opaque(malloc(50)));
        _exit(0);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    free(block);
    puts("right");
    return 0;
}
#else
static void blocks(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *block = opaque(__libc_malloc(100));
    CHECK(block != NULL && malloc_usable_size(block) >= 100);
    free(block);
    __libc_free(opaque(malloc(100)));
    cfree(opaque(malloc(100)));
    cfree(NULL);
    __libc_free(NULL);
    char *zero = opaque(__libc_calloc(10, 100));
    for (int i = 0; i < 1000; i++)
        CHECK(zero[i] == 0);
    CHECK(__libc_calloc(SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
    zero = opaque(__libc_realloc(zero, 200000));
    CHECK(zero != NULL && zero[999] == 0);
    free(zero);
    CHECK(__libc_realloc(opaque(malloc(10)), 0) == NULL);
    block = opaque(__libc_memalign(64, 100));
    CHECK(block != NULL && (uintptr_t)block % 64 == 0);
    free(block);
    block = opaque(__libc_valloc(100));
    CHECK(block != NULL && (uintptr_t)block % page == 0);
    free(block);
    block = opaque(__libc_pvalloc(100));
    CHECK((uintptr_t)block % page == 0 && malloc_usable_size(block) >= page);
    free(block);
    CHECK(__posix_memalign(&block, 256, 100) == 0 && (uintptr_t)block % 256 == 0);
    free(block);
    CHECK(__posix_memalign(&block, 3, 100) == EINVAL);
}

static void parameters(void)
{
    CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1);
    CHECK(mallopt(M_TRIM_THRESHOLD, 1 << 20) == 1);
    CHECK(mallopt(M_ARENA_MAX, 1) == 1 && mallopt(M_PERTURB, 0) == 1);
    CHECK(mallopt(12345, 1) == 0);
}

static void figures(void)
{
    void *large = opaque(malloc(64 << 20));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    struct mallinfo small = mallinfo();
#pragma GCC diagnostic pop
    struct mallinfo2 info = mallinfo2();
    CHECK(small.hblks == (int)info.hblks && small.hblks >= 1);
    CHECK(small.hblkhd == (int)info.hblkhd && small.hblkhd >= 64 << 20);
    CHECK(small.arena > 0 && small.uordblks + small.fordblks == small.arena);
    /* More than fits the numbers of 32 bits: not a small or negative number, but the largest. */
    void *larger = opaque(malloc((size_t)3 << 30));
    if (larger != NULL) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
        CHECK(mallinfo().hblkhd == INT32_MAX);
#pragma GCC diagnostic pop
        free(larger);
    }
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    CHECK(stream != NULL);
    CHECK(malloc_info(0, stream) == 0);
    CHECK(malloc_info(1, stream) == EINVAL);
    fclose(stream);
    const char begins[] = "<malloc version=\"1\">\n";
    const char ends[] = "</malloc>\n";
    CHECK(strncmp(text, begins, strlen(begins)) == 0);
    CHECK(strcmp(text + length - strlen(ends), ends) == 0);
    CHECK(strstr(text, "<heap nr=\"0\">") != NULL);
    CHECK(strstr(text, "<total type=\"mmap\" count=\"1\" size=\"67108864\"/>") != NULL);
    CHECK(strstr(text, "<system type=\"current\" size=\"") != NULL);
    free(text);
    free(large);
}

int main(void)
{
    blocks();
    parameters();
    figures();
    puts("right");
    return 0;
}
#endif

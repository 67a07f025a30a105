/* What drystone.h promises of every function, and the sources it names. Prints how much was
 * checked. */
#define _GNU_SOURCE
#include "../check.h"

#include <pthread.h>
#include <sys/resource.h>
#include <drystone.h>

/* No call but those that fail may change it, and none ever sets it to this. */
#define UNTOUCHED 4711

static size_t page;

/* Each expects NULL with an errno; the last one to run is named by its line. */
#define FAILED(call, error)                                                                \
    do {                                                                                    \
        errno = UNTOUCHED;                                                                  \
        CHECK((call) == NULL);                                                              \
        CHECK(errno == (error));                                                            \
    } while (0)

static void sizes(void)
{
    void *blocks[600];
    errno = UNTOUCHED;
    for (size_t size = 0; size < 600; size++) {
        blocks[size] = malloc(hidden(size));
        CHECK(blocks[size] && is_aligned(blocks[size], 16));
        CHECK(malloc_usable_size(blocks[size]) >= size);
        fill(blocks[size], malloc_usable_size(blocks[size]), size);
    }
    for (size_t size = 0; size < 600; size++) {
        CHECK(is_filled(blocks[size], malloc_usable_size(blocks[size]), size));
        free(blocks[size]);
    }
    CHECK(errno == UNTOUCHED);
    CHECK(malloc_usable_size(NULL) == 0);
}

static void zero_sizes(void)
{
    void *blocks[] = {malloc(0), malloc(0), calloc(0, 8), calloc(8, 0), aligned_alloc(64, 0),
                      memalign(64, 0), valloc(0), pvalloc(0), realloc(NULL, 0)};
    enum { COUNT = sizeof blocks / sizeof *blocks };
    for (int one = 0; one < COUNT; one++) {
        CHECK(blocks[one] != NULL);
        for (int other = 0; other < one; other++)
            CHECK(blocks[one] != blocks[other]);
    }
    for (int one = 0; one < COUNT; one++)
        free(blocks[one]);
    void *block = NULL;
    CHECK(posix_memalign(&block, 64, 0) == 0 && block);
    free(block);
}

static void too_large(void)
{
    size_t limits[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 4096,
                       PTRDIFF_MAX, PTRDIFF_MAX - 64};
    for (int i = 0; i < (int)(sizeof limits / sizeof *limits); i++) {
        size_t size = hidden(limits[i]);
        FAILED(malloc(size), ENOMEM);
        FAILED(calloc(1, size), ENOMEM);
        FAILED(calloc(size, 1), ENOMEM);
        FAILED(realloc(NULL, size), ENOMEM);
        FAILED(reallocarray(NULL, size, 1), ENOMEM);
        FAILED(aligned_alloc(16, size), ENOMEM);
        FAILED(aligned_alloc(1 << 21, size), ENOMEM);
        FAILED(memalign(64, size), ENOMEM);
        FAILED(valloc(size), ENOMEM);
        FAILED(pvalloc(size), ENOMEM);
    }
    FAILED(calloc(hidden(SIZE_MAX / 2), 3), ENOMEM);
    FAILED(calloc(hidden((size_t)1 << 32), (size_t)1 << 32), ENOMEM);
    FAILED(aligned_alloc(hidden((size_t)1 << 62), 1), ENOMEM);
}

static void freeing(void)
{
    errno = UNTOUCHED;
    free(NULL);
    CHECK(errno == UNTOUCHED);
    /* Small, large, with a mapping of its own; and enough to make regions go back. */
    size_t sizes[] = {1, 100, 10000, 100000, 1 << 20, 64 << 20};
    for (int i = 0; i < 6; i++) {
        void *block = malloc(sizes[i]);
        CHECK(block);
        errno = UNTOUCHED;
        free(block);
        CHECK(errno == UNTOUCHED);
    }
    void *many[200];
    for (int i = 0; i < 200; i++)
        CHECK((many[i] = malloc(200000)));
    errno = UNTOUCHED;
    for (int i = 0; i < 200; i++)
        free(many[i]);
    CHECK(errno == UNTOUCHED);
}

static void zeroing(void)
{
    static const char zeros[1 << 20];
    size_t sizes[] = {1, 16, 17, 100, 4096, 70000, 1 << 20};
    for (int i = 0; i < 7; i++) {
        for (int time = 0; time < 3; time++) {
            void *dirty = malloc(sizes[i]);
            CHECK(dirty);
            memset(dirty, 0xA5, sizes[i]);
            free(opaque(dirty));
            void *clean = calloc(sizes[i], 1);
            CHECK(clean && memcmp(clean, zeros, sizes[i]) == 0);
            memset(clean, 0x5A, sizes[i]);
            free(clean);
        }
    }
}

static void resizing(void)
{
    /* Up by steps of a third to 8 MiB and down again: in place, moved, remapped. */
    size_t size = 1;
    char *block = realloc(NULL, size);
    CHECK(block);
    fill(block, size, 1);
    while (size < 8 << 20) {
        size_t next = size + size / 3 + 1;
        void *obstacle = malloc(24);
        block = realloc(block, next);
        CHECK(block && is_aligned(block, 16) && is_filled(block, size, 1));
        fill(block, size = next, 1);
        free(obstacle);
    }
    while (size > 1) {
        size = size * 2 / 3;
        block = realloc(block, size);
        CHECK(block && is_filled(block, size, 1) && malloc_usable_size(block) >= size);
    }
    errno = UNTOUCHED;
    CHECK(realloc(block, 0) == NULL); /* frees it: the misuse tests free one again to see */
    CHECK(errno == UNTOUCHED);

    block = malloc(1000);
    CHECK(block);
    fill(block, 1000, 2);
    FAILED(realloc(block, hidden(PTRDIFF_MAX)), ENOMEM);
    CHECK(is_filled(block, 1000, 2));
    FAILED(reallocarray(block, hidden(SIZE_MAX / 2), 3), ENOMEM);
    CHECK(is_filled(block, 1000, 2));
    block = reallocarray(block, 1000, 3);
    CHECK(block && is_filled(block, 1000, 2) && malloc_usable_size(block) >= 3000);
    CHECK(reallocarray(block, 0, 3) == NULL);

    block = aligned_alloc(1 << 16, 100);
    CHECK(block);
    fill(block, 100, 3);
    block = realloc(block, 100000);
    CHECK(block && is_filled(block, 100, 3));
    free(block);
}

static void alignment(void)
{
    for (size_t align = 1; align <= 2 << 20; align *= 2) {
        for (size_t size = 1; size < 5 << 20; size = size * 17 + 3) {
            void *blocks[4] = {aligned_alloc(align, size), memalign(align, size), NULL, NULL};
            int error = posix_memalign(&blocks[2], align < 8 ? 8 : align, size);
            blocks[3] = aligned_alloc(align, size);
            CHECK(error == 0);
            for (int i = 0; i < 4; i++) {
                CHECK(blocks[i] && is_aligned(blocks[i], align) && is_aligned(blocks[i], 16));
                CHECK(malloc_usable_size(blocks[i]) >= size);
                fill(blocks[i], size, i);
            }
            for (int i = 0; i < 4; i++) {
                CHECK(is_filled(blocks[i], size, i));
                free(blocks[i]);
            }
        }
    }
    size_t odd[] = {0, 3, 24, 48, 4097, SIZE_MAX, SIZE_MAX / 2};
    for (int i = 0; i < 7; i++)
        FAILED(aligned_alloc(hidden(odd[i]), 64), EINVAL);

    void *block = memalign(hidden(24), 10);
    CHECK(block && is_aligned(block, 32));
    free(block);
    block = memalign(hidden(5000), 10);
    CHECK(block && is_aligned(block, 8192));
    free(block);
    block = memalign(hidden(0), 10);
    CHECK(block && is_aligned(block, 16));
    free(block);
    FAILED(memalign(hidden(SIZE_MAX), 10), EINVAL);
    FAILED(memalign(hidden(((size_t)1 << 63) + 1), 10), EINVAL);
}

static void posix(void)
{
    size_t bad[] = {0, 1, 2, 4, 12, 24, 100, SIZE_MAX};
    for (int i = 0; i < 8; i++) {
        void *block = &bad;
        errno = UNTOUCHED;
        CHECK(posix_memalign(&block, hidden(bad[i]), 10) == EINVAL);
        CHECK(block == &bad && errno == UNTOUCHED);
    }
    void *block = &bad;
    CHECK(posix_memalign(&block, 16, hidden(SIZE_MAX)) == ENOMEM);
    CHECK(posix_memalign(&block, hidden((size_t)1 << 62), 1) == ENOMEM);
    CHECK(block == &bad && errno == UNTOUCHED);
    CHECK(posix_memalign(&block, 8, 10) == 0 && block != &bad && errno == UNTOUCHED);
    free(block);
}

static void pages(void)
{
    for (size_t size = 1; size < 3 * page; size += page / 2) {
        void *one = valloc(size), *other = pvalloc(size);
        CHECK(one && is_aligned(one, page) && malloc_usable_size(one) >= size);
        CHECK(other && is_aligned(other, page));
        CHECK(malloc_usable_size(other) >= (size + page - 1) / page * page);
        free(one);
        free(other);
    }
}

/* What is not a misuse: every size the program can have asked for. A misuse would end the
 * program. */
static void sized(void)
{
    errno = UNTOUCHED;
    free_sized(NULL, 100);
    free_aligned_sized(NULL, 64, 100);
    for (size_t size = 0; size < 9 << 20; size += 1 + size / 7) {
        free_sized(malloc(hidden(size)), size);
        free_sized(calloc(hidden(size), 1), size);
        /* Huge ones that fill mappings which were kept, a bit longer. */
        free_sized(malloc(hidden(size - size / 16)), size - size / 16);
        for (size_t align = 1; align <= 4 << 20; align *= 4)
            free_aligned_sized(aligned_alloc(align, hidden(size)), align, size);
    }
    CHECK(errno == UNTOUCHED);
    /* Up and down in small and in large steps, freed after each. */
    uint32_t seed = 7;
    for (int round = 0; round < 20000; round++) {
        size_t size = draw(&seed) >> (8 + draw(&seed) % 24);
        void *block = malloc(size);
        for (uint32_t step = draw(&seed) % 4; step > 0; step--) {
            size = 1 + (draw(&seed) % 3 ? size - size / (2 + draw(&seed) % 8) : size + size / 2);
            block = realloc(block, hidden(size));
        }
        CHECK(block);
        free_sized(block, size);
    }
    CHECK(errno == UNTOUCHED);
}

/* The functions that say something of the heap. */
static void figures(void)
{
    CHECK(strcmp(drystone_version(), DRYSTONE_VERSION) == 0);
    enum { COUNT = 1000, SIZE = 5000 };
    static void *blocks[COUNT];
    struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < COUNT; i++) {
        CHECK((blocks[i] = malloc(SIZE)));
        fill(blocks[i], SIZE, i);
    }
    void *mapping = malloc(8 << 20);
    CHECK(mapping);
    struct mallinfo2 full = mallinfo2();
    CHECK(full.uordblks >= before.uordblks + COUNT * SIZE);
    CHECK(full.hblks == before.hblks + 1 && full.hblkhd >= before.hblkhd + (8 << 20));
    CHECK(full.arena == full.uordblks + full.fordblks);

    static char text[DRYSTONE_STATS_BYTES], small[20], none[1] = {'x'};
    errno = UNTOUCHED;
    size_t length = drystone_stats(text, sizeof text);
    CHECK(errno == UNTOUCHED);
    CHECK(length > 1000 && length < sizeof text && strlen(text) == length);
    CHECK(strncmp(text, "{\"drystone_stats\":1,", 20) == 0 && text[length - 1] == '}');
    CHECK(strstr(text, "\"sound\":true") && strstr(text, "\"layers\":{\"reserved_bytes\":"));
    CHECK(strstr(text, "{\"block_bytes\":5120,\"slabs\":"));
    CHECK(drystone_stats(small, sizeof small) > 1000 &&
          strcmp(small, "{\"drystone_stats\":1") == 0);
    CHECK(drystone_stats(none, 0) > 1000 && none[0] == 'x' && drystone_stats(NULL, 0) > 1000);
    CHECK(drystone_stats(none, 1) > 1000 && none[0] == 0);

    free(mapping);
    for (int i = 0; i < COUNT; i++)
        free(blocks[i]);
    struct mallinfo2 idle = mallinfo2();
    CHECK(idle.uordblks <= full.uordblks - COUNT * SIZE && idle.hblks == before.hblks);
    CHECK(malloc_trim(0) == 1 && errno == UNTOUCHED);
    CHECK(mallinfo2().keepcost < idle.keepcost);
    CHECK(malloc_trim(hidden(SIZE_MAX)) == 0);
}

/* Blocks that the C library allocates for the program come from the same heap: it can free them. */
static void from_the_c_library(void)
{
    char *copy = strdup("a copy");
    CHECK(copy && malloc_usable_size(copy) >= 7);
    free(copy);

    char *text = NULL;
    CHECK(asprintf(&text, "%0*d", 3000, 7) == 3000);
    text = realloc(text, 100000);
    CHECK(text && text[2999] == '7');
    free(text);

    char *stream = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&stream, &size);
    CHECK(file);
    for (int i = 0; i < 10000; i++)
        fprintf(file, "%d ", i);
    fclose(file);
    CHECK(size == 48890 && malloc_usable_size(stream) >= size);
    free(stream);

    char *folder = getcwd(NULL, 0);
    CHECK(folder && malloc_usable_size(folder) > strlen(folder));
    free(folder);
}

static void exhaustion(void)
{
    struct rlimit limit, tight;
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
    tight = limit;
    tight.rlim_cur = (size_t)256 << 20;
    CHECK(setrlimit(RLIMIT_AS, &tight) == 0);

    void *kept[512];
    int count = 0;
    errno = UNTOUCHED;
    while (count < 512 && (kept[count] = malloc(1 << 20)))
        fill(kept[count], 4096, count), count++;
    CHECK(count > 10 && count < 512 && errno == ENOMEM);
    FAILED(malloc(hidden(1 << 20)), ENOMEM);
    FAILED(realloc(kept[0], hidden((size_t)512 << 20)), ENOMEM);
    for (int i = 0; i < count; i++) {
        CHECK(is_filled(kept[i], 4096, i));
        free(kept[i]);
    }
    void *block = malloc((size_t)32 << 20);
    CHECK(block);
    free(block);
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

static void *in_a_thread(void *seed)
{
    exercise((uint32_t)(uintptr_t)seed, 5000);
    return malloc(100);
}

static void threads(void)
{
    pthread_t thread[4];
    for (uintptr_t i = 0; i < 4; i++)
        CHECK(pthread_create(&thread[i], NULL, in_a_thread, (void *)(i + 1)) == 0);
    for (int i = 0; i < 4; i++) {
        void *block = NULL;
        CHECK(pthread_join(thread[i], &block) == 0 && block);
        free(block); /* of a thread that has exited */
    }
}

static void *early;

__attribute__((constructor)) static void before_main(void)
{
    early = malloc(1000);
    if (early)
        fill(early, 1000, 9);
}

static void at_exit(void)
{
    CHECK(is_filled(early, 1000, 9));
    free(early);
    exercise(5, 1000);
}

/* Destructors run after all of atexit's functions, and after the library's own end when it is
 * linked in. */
__attribute__((destructor)) static void after_main(void)
{
    exercise(6, 1000);
}

int main(void)
{
    alarm(60);
    page = (size_t)sysconf(_SC_PAGESIZE);
    CHECK(early && atexit(at_exit) == 0);
    sizes();
    zero_sizes();
    too_large();
    freeing();
    zeroing();
    resizing();
    alignment();
    posix();
    pages();
    sized();
    figures();
    from_the_c_library();
    threads();
    exhaustion();
    printf("all of %s\n", checks > 10000 ? "more than 10000 checks hold" : "too few checks");
    return 0;
}

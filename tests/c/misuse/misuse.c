/*
 * One misuse, named by the argument, between work that must be right. Prints "ready" before it and
 * "went on" after it. `--list` prints the names.
 */
#define _GNU_SOURCE
#include "../check.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <drystone.h>

#define MIB ((size_t)1 << 20)

static pthread_t helper;
static pthread_barrier_t barrier;
static void *helpers_block;

static void *helping(void *nothing)
{
    pthread_barrier_wait(&barrier);
    free(helpers_block);
    return nothing;
}

/* Starts the thread beforehand: starting one allocates, and would get the very block that was
 * freed. */
static void start_helper(void)
{
    CHECK(pthread_barrier_init(&barrier, NULL, 2) == 0);
    CHECK(pthread_create(&helper, NULL, helping, NULL) == 0);
}

static void free_in_helper(void *block)
{
    helpers_block = block;
    pthread_barrier_wait(&barrier);
    CHECK(pthread_join(helper, NULL) == 0);
}

/* Blocks side by side, the first and the last of which stay live. */
static void row(void *blocks[5])
{
    for (int i = 0; i < 5; i++)
        CHECK((blocks[i] = opaque(malloc(40000))));
}

static void immediate(void)
{
    void *block = opaque(malloc(100));
    free(block);
    free(block);
}

static void interleaved(void)
{
    void *block[5];
    row(block);
    free(block[1]);
    free(block[3]);
    free(block[1]);
}

static void behind_a_thousand(void)
{
    void *block = opaque(malloc(100)), *others[1024];
    for (int i = 0; i < 1024; i++)
        others[i] = malloc(100);
    free(block);
    for (int i = 0; i < 1024; i++)
        free(others[i]);
    free(block);
}

static void beside_a_free_block_before(void)
{
    void *block[5];
    row(block);
    free(block[1]);
    free(block[2]);
    free(block[2]);
}

static void beside_a_free_block_behind(void)
{
    void *block[5];
    row(block);
    free(block[2]);
    free(block[1]);
    free(block[2]);
}

static void between_free_blocks(void)
{
    void *block[5];
    row(block);
    free(block[1]);
    free(block[3]);
    free(block[2]);
    free(block[3]);
}

static void region_gone_back(void)
{
    enum { COUNT = 100 };
    void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++)
        CHECK((blocks[i] = opaque(malloc(200000))));
    /* The memory of the last ones freed is kept for a while; the others' goes. */
    for (int i = COUNT; i-- > 0;)
        free(blocks[i]);
    free(blocks[COUNT / 2]);
}

static void huge(void)
{
    void *block = opaque(malloc(4 * MIB));
    free(block);
    free(block);
}

static void first_by_another_thread(void)
{
    start_helper();
    void *block = opaque(malloc(100));
    free_in_helper(block);
    free(block);
}

static void then_by_another_thread(void)
{
    start_helper();
    void *block = opaque(malloc(100));
    free(block);
    free_in_helper(block);
}

static void after_realloc_freed(void)
{
    void *block = opaque(malloc(100));
    CHECK(realloc(block, hidden(0)) == NULL);
    free(block);
}

static void after_realloc_moved(void)
{
    void *block = opaque(malloc(MIB)), *obstacle = NULL, *moved = block;
    for (size_t size = 2 * MIB; moved == block; size *= 2) {
        obstacle = mmap((char *)moved + size / 2 + 4096, 4096, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        moved = realloc(moved, size);
        CHECK(moved && size < 4096 * MIB);
    }
    CHECK(obstacle);
    free(block);
}

static void resize_of_a_free_block(void)
{
    void *block = opaque(malloc(100));
    free(block);
    errno = 0;
    CHECK(realloc(block, 200) == NULL);
    CHECK(errno == EINVAL);
}

static void array_of_a_free_block(void)
{
    void *block = opaque(malloc(100));
    free(block);
    CHECK(reallocarray(block, 20, 20) == NULL);
}

static void size_of_a_free_block(void)
{
    void *block = opaque(malloc(100));
    free(block);
    CHECK(malloc_usable_size(block) == 0);
}

static void inside(size_t size, size_t offset)
{
    char *block = opaque(malloc(size));
    fill(block, size, 1);
    free(opaque(block + offset));
    CHECK(is_filled(block, size, 1));
    free(block);
}

static void interior(void) { inside(1000, 160); }
static void interior_of_huge(void) { inside(4 * MIB, MIB); }
static void unaligned(void) { inside(1000, 8); }
static void unaligned_by_one(void) { inside(1000, 1); }
static void unaligned_in_huge(void) { inside(4 * MIB, 8); }

static void on_the_stack(void)
{
    _Alignas(16) char array[64] = {0};
    free(opaque(array + 16));
}

static void in_static_memory(void)
{
    _Alignas(16) static char array[64];
    free(opaque(array + 16));
}

/* Mapped before the heap has had anything to give back that could have been in the same place. */
static char *mapping;

static void map(void)
{
    mapping = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mapping != MAP_FAILED);
}

static void in_another_mapping(void)
{
    free(opaque(mapping + 4096));
    CHECK(munmap(mapping, MIB) == 0);
}

static void in_code(void) { free(opaque((const void *)((uintptr_t)in_code & ~(uintptr_t)15))); }
static void unmapped(void) { free(opaque((const void *)(uintptr_t)0x123450)); }
static void out_of_range(void) { free(opaque((const void *)UINT64_C(0xFFFF800000000010))); }

/* The block stays live: it is freed as it should be afterwards, which must be no misuse. */
static void wrong_size(size_t size, size_t said)
{
    void *block = opaque(malloc(size));
    fill(block, size, 1);
    free_sized(block, hidden(said));
    CHECK(is_filled(block, size, 1));
    free_sized(block, size);
}

static void sized_too_small(void) { wrong_size(100, 40); }
static void sized_too_large(void) { wrong_size(100, 113); }
static void sized_for_a_page(void) { wrong_size(4096, 8192); }
static void sized_for_a_span(void) { wrong_size(256 << 10, 100); }
static void sized_for_a_mapping(void) { wrong_size(4 * MIB, 2 * MIB); }
static void sized_beyond_all(void) { wrong_size(100, SIZE_MAX); }

static void sized_at_no_alignment(void)
{
    void *block = opaque(aligned_alloc(64, 128));
    free_aligned_sized(block, hidden(24), 128);
    free_aligned_sized(block, 64, 128);
}

static void sized_at_another_alignment(void)
{
    void *block = opaque(aligned_alloc(64, 100));
    free_aligned_sized(block, hidden(1 << 20), 100);
    free_aligned_sized(block, 64, 100);
}

static void sized_twice(void)
{
    void *block = opaque(malloc(100));
    free_sized(block, 100);
    free_sized(block, 100);
}

static void sized_by_another_thread(void)
{
    start_helper();
    void *block = opaque(malloc(100));
    free_in_helper(block);
    free_sized(block, 100);
}

static void *racing(void *block)
{
    pthread_barrier_wait(&barrier);
    free(block);
    return NULL;
}

/* Four threads free one block at once: one free takes effect, three are misuses. */
static void race(void)
{
    enum { THREADS = 4 };
    pthread_t thread[THREADS];
    void *block = opaque(malloc(100));
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, racing, block) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
}

#define CASE(name) {#name, name}
static const struct {
    const char *name;
    void (*commit)(void);
} cases[] = {
    CASE(immediate),
    CASE(interleaved),
    CASE(behind_a_thousand),
    CASE(beside_a_free_block_before),
    CASE(beside_a_free_block_behind),
    CASE(between_free_blocks),
    CASE(region_gone_back),
    CASE(huge),
    CASE(first_by_another_thread),
    CASE(then_by_another_thread),
    CASE(after_realloc_freed),
    CASE(after_realloc_moved),
    CASE(resize_of_a_free_block),
    CASE(array_of_a_free_block),
    CASE(size_of_a_free_block),
    CASE(interior),
    CASE(interior_of_huge),
    CASE(unaligned),
    CASE(unaligned_by_one),
    CASE(unaligned_in_huge),
    CASE(on_the_stack),
    CASE(in_static_memory),
    CASE(in_another_mapping),
    CASE(in_code),
    CASE(unmapped),
    CASE(out_of_range),
    CASE(sized_too_small),
    CASE(sized_too_large),
    CASE(sized_for_a_page),
    CASE(sized_for_a_span),
    CASE(sized_for_a_mapping),
    CASE(sized_beyond_all),
    CASE(sized_at_no_alignment),
    CASE(sized_at_another_alignment),
    CASE(sized_twice),
    CASE(sized_by_another_thread),
    CASE(race),
};
enum { CASES = sizeof cases / sizeof *cases };

int main(int argc, char **argv)
{
    const struct rlimit no_core = {0, 0};
    alarm(60);
    setrlimit(RLIMIT_CORE, &no_core);
    map();
    for (int i = 0; i < CASES && argc == 2; i++) {
        if (strcmp(argv[1], "--list") == 0)
            puts(cases[i].name);
        if (strcmp(argv[1], cases[i].name) != 0)
            continue;
        exercise(1, 2000);
        puts("ready");
        fflush(stdout);
        cases[i].commit();
        exercise(2, 2000);
        puts("went on");
        return 0;
    }
    return argc == 2 && strcmp(argv[1], "--list") == 0 ? 0 : 2;
}

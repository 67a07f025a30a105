/*
 * What the allocator knows of its blocks lies between guards: an overflow out of a block ends
 * there. Mappings that came since main and hold no block are its own.
 */
#include "../check.h"

#include <fcntl.h>
#include <unistd.h>

enum { MOST = 2000, HUGE_BLOCKS = 60, SMALL_BLOCKS = 20000 };

/* Mappings without a file's name, as /proc/self/maps tells of them. */
struct mapping {
    size_t start, end;
    int accessible;
    int named;
    int has_block;
};

static struct mapping before[MOST], after[MOST];
static char text[1 << 20];
static void *small[HUGE_BLOCKS * SMALL_BLOCKS], *huge[HUGE_BLOCKS];

static int mappings(struct mapping *all)
{
    int file = open("/proc/self/maps", O_RDONLY), count = 0;
    size_t length = 0;
    for (ssize_t got; (got = read(file, text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)got;
    close(file);
    text[length] = 0;
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        struct mapping *one = &all[count++];
        CHECK(count < MOST);
        char access[5];
        int name = 0;
        CHECK(sscanf(line, "%zx-%zx %4s %*s %*s %*s%*[ ]%n", &one->start, &one->end, access,
                     &name) == 3);
        one->accessible = strncmp(access, "---", 3) != 0;
        one->named = name > 0 && line[name] != '\n';
        one->has_block = 0;
    }
    return count;
}

static struct mapping *around(struct mapping *all, int count, const void *block)
{
    int low = 0;
    for (int high = count; high - low > 1;) {
        int middle = (low + high) / 2;
        if (all[middle].start <= (size_t)block)
            low = middle;
        else
            high = middle;
    }
    return &all[low];
}

/* Whether a mapping of the program's start is a part of it: then it is not new. */
static int is_old(const struct mapping *one, int old)
{
    for (int i = 0; i < old; i++)
        if (before[i].accessible && before[i].start < one->end && one->start < before[i].end)
            return 1;
    return 0;
}

int main(void)
{
    int old = mappings(before), own = 0;
    for (int i = 0; i < HUGE_BLOCKS; i++) {
        for (int j = 0; j < SMALL_BLOCKS; j++)
            small[i * SMALL_BLOCKS + j] = malloc(16);
        huge[i] = malloc((1 << 20) + 4096 + (size_t)(i % 5) * 40960);
    }
    int count = mappings(after);
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        around(after, count, small[i])->has_block = 1;
    for (int i = 0; i < HUGE_BLOCKS; i++)
        around(after, count, huge[i])->has_block = 1;
    for (int i = 1; i < count - 1; i++) {
        const struct mapping *one = &after[i], *below = one - 1, *above = one + 1;
        if (!one->accessible || one->named || one->has_block || is_old(one, old))
            continue;
        own++;
        CHECK(below->end == one->start && !below->accessible);
        CHECK(above->start == one->end && !above->accessible);
    }
    printf("%d\n", own);
    return 0;
}

/*
 * A program that has all of its memory locked, now and in future, so that the kernel fetches every
 * page of a mapping at once: it must not get many more than it uses.
 */
#include "../check.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static long resident(void)
{
    long all, pages;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm && fscanf(statm, "%ld %ld", &all, &pages) == 2);
    fclose(statm);
    return pages * 4096;
}

int main(void)
{
    enum { BLOCKS = 150000, BYTES = 1000 };
    static void *block[BLOCKS];
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        CHECK(errno == EPERM || errno == ENOMEM);
        puts("not allowed");
        return 0;
    }
    long before = resident();
    for (int i = 0; i < BLOCKS; i++)
        CHECK((block[i] = malloc(BYTES)));
    long taken = resident() - before;
    if (taken > (long)BLOCKS * BYTES / 10 * 11)
        printf("%ld MiB for 143\n", taken >> 20);
    for (int i = 0; i < BLOCKS; i++)
        free(block[i]);
    puts("right");
    return 0;
}

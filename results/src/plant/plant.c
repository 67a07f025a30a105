/* Known changes for `results selftest`, put before an allocator's own malloc and calloc, which were
   renamed. Both sides of a comparison hold this code; they differ in the numbers below alone. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#ifndef TURNS
#define TURNS 0 /* turns of an empty loop in every malloc of a multiple of 16 bytes */
#endif
#ifndef DOUBLED
#define DOUBLED 0 /* every so many-th block is twice as large; 0: none */
#endif
#ifndef STALLED
#define STALLED 0 /* every so many-th malloc takes 2 µs more; 0: none */
#endif
#ifndef DIRTY
#define DIRTY 0 /* every so many-th calloc leaves a byte that is not zero; 0: none */
#endif

void *planted_malloc(size_t size);
void *planted_calloc(size_t count, size_t size);

/* Read at run time, so that the code is the same whatever they are. */
static volatile unsigned turns = TURNS, doubled = DOUBLED, stalled = STALLED, dirty = DIRTY;
/* Threads may lose counts to each other: how often is measured, not promised. */
static unsigned mallocs, callocs;

#define NEXT(counter) \
  __atomic_store_n(&counter, __atomic_load_n(&counter, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED)
#define IS_TURN(every, counter) \
  ((every) != 0 && __atomic_load_n(&counter, __ATOMIC_RELAXED) % (every) == 0)

static void stall(void) {
  struct timespec from, now;
  clock_gettime(CLOCK_MONOTONIC, &from);
  do clock_gettime(CLOCK_MONOTONIC, &now);
  while ((now.tv_sec - from.tv_sec) * 1000000000L + now.tv_nsec - from.tv_nsec < 2000);
}

void *malloc(size_t size) {
  if ((size & 15) == 0)
    for (unsigned turn = turns; turn > 0; turn--) __asm__ volatile("");
  if (doubled != 0 || stalled != 0) {
    NEXT(mallocs);
    if (IS_TURN(doubled, mallocs) && size <= PTRDIFF_MAX / 2) size *= 2;
    if (IS_TURN(stalled, mallocs)) stall();
  }
  return planted_malloc(size);
}

void *calloc(size_t count, size_t size) {
  char *at = planted_calloc(count, size);
  if (dirty != 0 && at && count && size) {
    NEXT(callocs);
    if (IS_TURN(dirty, callocs)) at[0] = 1;
  }
  return at;
}

#ifdef PADDED
/* Never called: it moves what lies behind it. */
void drystone_planted_padding(volatile int *at) {
#define FOUR(x) x x x x
  FOUR(FOUR(FOUR(FOUR(*at += 1;))))
}
#endif

/* A small allocator, for the tests of `results compare` in a repository that is not ours: powers of
   two from 16 bytes up, a list of free blocks for each, one spin lock. Blocks begin 16 bytes behind
   their class. Memory is never given back. Where knobs.h says nothing, it is right. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include "knobs.h"

struct block { size_t class; struct block *next; };
static struct block *lists[64];
static char *fresh, *fresh_end;
static volatile int lock;

static void take(void) { while (__sync_lock_test_and_set(&lock, 1)) while (lock) {} }
static void give(void) { __sync_lock_release(&lock); }

static void *pages(size_t bytes) {
  void *at = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? 0 : at;
}

static struct block *carve(size_t bytes) {
  size_t chunk = bytes > (1 << 20) ? bytes : 1 << 20;
  if ((size_t)(fresh_end - fresh) < bytes) {
    fresh = pages(chunk);
    if (!fresh) { fresh_end = 0; return 0; }
    fresh_end = fresh + chunk;
  }
  struct block *block = (struct block *)fresh;
  fresh += bytes;
  return block;
}

void *malloc(size_t size) {
  size_t class = 5;
  if (size > PTRDIFF_MAX - 64) { errno = ENOMEM; return 0; }
  while (((size_t)1 << class) < size + 16) class++;
  for (volatile int spin = 0; spin < SPIN; spin++) {}
  take();
  struct block *block = lists[class];
  if (block) lists[class] = block->next;
  else block = carve(((size_t)1 << class) + FAT * ((size_t)1 << class) / 100 / 16 * 16);
  give();
  if (!block) { errno = ENOMEM; return 0; }
  block->class = class;
  return (char *)block + 16;
}

/* Class 0 is an aligned place inside a block; `next` is that block's own address. */
static struct block *head(void *at) { return (struct block *)((char *)at - 16); }

static size_t room(void *at) {
  struct block *block = head(at);
  if (block->class) return ((size_t)1 << block->class) - 16;
  char *whole = (char *)block->next;
  return whole + room(whole) - (char *)at;
}

void free(void *at) {
  if (!at) return;
  struct block *block = head(at);
  if (!block->class) { free(block->next); return; }
  take();
  block->next = lists[block->class];
  lists[block->class] = block;
  give();
}

void *calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) { errno = ENOMEM; return 0; }
  char *at = malloc(bytes);
  if (!at) return 0;
  memset(at, 0, bytes);
  static unsigned calls;
  unsigned call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
  if (WRONG && bytes && call % (WRONG + 1) == 0) at[0] = 1;
  return at;
}

void *realloc(void *at, size_t size) {
  if (!at) return malloc(size);
  size_t had = room(at);
  if (size <= had) return at;
  void *to = malloc(size);
  if (!to) return 0;
  memcpy(to, at, had);
  free(at);
  return to;
}

void *aligned_alloc(size_t align, size_t size) {
  if (align <= 16) return malloc(size);
  if (align & (align - 1)) { errno = EINVAL; return 0; }
  if (size > PTRDIFF_MAX - align - 64) { errno = ENOMEM; return 0; }
  char *whole = malloc(size + align + 16);
  if (!whole) return 0;
  char *at = (char *)(((uintptr_t)whole + 16 + align - 1) & ~(uintptr_t)(align - 1));
  head(at)->class = 0;
  head(at)->next = (struct block *)whole;
  return at;
}

int posix_memalign(void **out, size_t align, size_t size) {
  int before = errno;
  if (align < sizeof(void *) || align & (align - 1)) return EINVAL;
  void *at = aligned_alloc(align, size);
  errno = before;
  if (!at) return ENOMEM;
  *out = at;
  return 0;
}

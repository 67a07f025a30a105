/* A small allocator, for the tests of `results compare` in a repository that is not ours: powers of
   two from 16 bytes up, a list of free blocks for each, one spin lock. Blocks begin 16 bytes behind
   their class. Memory is never given back. */
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

void free(void *at) {
  if (!at) return;
  struct block *block = (struct block *)((char *)at - 16);
  take();
  block->next = lists[block->class];
  lists[block->class] = block;
  give();
}

void *calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) { errno = ENOMEM; return 0; }
  void *at = malloc(bytes);
  if (at) memset(at, 0, bytes);
  return at;
}

void *realloc(void *at, size_t size) {
  if (!at) return malloc(size);
  size_t room = ((size_t)1 << ((struct block *)((char *)at - 16))->class) - 16;
  if (size <= room) return at;
  void *to = malloc(size);
  if (!to) return 0;
  memcpy(to, at, room);
  free(at);
  return to;
}

/* Alignments up to 16 only: no row asks for more. */
void *aligned_alloc(size_t align, size_t size) { (void)align; return malloc(size); }

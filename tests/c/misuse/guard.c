/* Guarded blocks, an act for each argument. With DRYSTONE_GUARD=1 the first blocks of a size are
   guarded, until all slots are taken; the very first calls never are. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A size that nothing else asks for. */
enum { SIZE = 4 * 1000 };

static volatile char seen;

/* The C library may lack it. */
extern void free_sized(void *, size_t) __attribute__((weak));

static char *block(void) {
  char *at = malloc(SIZE);
  if (!at) _exit(9);
  return at;
}

/* One at the end of its slot, and one at its start: the side is drawn. */
static char *block_at(int its_end) {
  for (int turn = 0; turn < 200; turn++) {
    char *at = block();
    if (((uintptr_t)at % 4096 != 0) == its_end) return at;
  }
  _exit(8);
}

static void overflow(void) { block_at(1)[SIZE] = 1; }
static void far_overflow(void) { seen = block_at(1)[SIZE + 5000]; }
static void underflow(void) { seen = block_at(0)[-1]; }
static void use_after_free(void) {
  char *at = block();
  free(at);
  seen = at[8];
}
static void write_after_free(void) {
  char *at = block();
  free(at);
  at[8] = 1;
}
static void use_after_realloc(void) {
  char *at = block(), *to = realloc(at, 2 * SIZE);
  seen = to[8];
  seen = at[8];
}
static void double_free(void) {
  char *at = block();
  free(at);
  free(at);
}
static void interior(void) {
  char *volatile at = block();
  free(at + 16);
}
static void beside(void) {
  char *at = block_at(0);
  at[SIZE] = 1;
  free(at);
}
static void wrong_size(void) {
  free_sized(block(), SIZE - 1000);
}

/* What is right stays so: contents, alignment, zeroes, sizes, and the figures. */
static void right(void) {
  enum { N = 2000 };
  static unsigned char *blocks[N];
  static size_t sizes[N];
  size_t before = mallinfo2().uordblks;
  for (int turn = 0; turn < 5; turn++)
    for (int i = 0; i < N; i++) {
      size_t size = (size_t)(i * 37 + turn * 101) % 9000;
      unsigned char *at = blocks[i];
      for (size_t k = 0; at && k < sizes[i]; k++)
        if (at[k] != (unsigned char)i) _exit(2);
      errno = 7;
      switch ((i + turn) % 5) {
      case 0: free(at); at = malloc(size); break;
      case 1: at = realloc(at, size + 1); break;
      case 2:
        free(at);
        at = calloc(1, size);
        for (size_t k = 0; k < size; k++)
          if (at[k]) _exit(3);
        break;
      case 3:
        free(at);
        at = aligned_alloc(4096, size);
        if ((uintptr_t)at % 4096) _exit(4);
        break;
      default:
        free(at);
        if (posix_memalign((void **)&at, 64, size) || (uintptr_t)at % 64) _exit(4);
      }
      if (!at || (uintptr_t)at % 16 || malloc_usable_size(at) < size || errno != 7) _exit(5);
      memset(at, i, size);
      blocks[i] = at;
      sizes[i] = size;
    }
  for (int i = 0; i < N; i++) free(blocks[i]);
  if (mallinfo2().uordblks != before) _exit(6);
  puts("right");
}

static void *churn(void *seed) {
  unsigned state = (unsigned)(uintptr_t)seed;
  char *held[16] = {0};
  for (int turn = 0; turn < 2000; turn++) {
    state = state * 1664525 + 1013904223;
    char **place = &held[state >> 28];
    free(*place);
    *place = malloc((state >> 8 & 8191) + 1);
    **place = 1;
  }
  for (int i = 0; i < 16; i++) free(held[i]);
  return 0;
}

/* Threads, and forks meanwhile: each child has guarded blocks of its own. */
static void forks(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, churn, (void *)(uintptr_t)(i + 1));
  for (int i = 0; i < 20; i++) {
    char *at = block();
    pid_t child = fork();
    if (!child) {
      free(at);
      churn((void *)9);
      _exit(0);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status) _exit(7);
    free(at);
  }
  for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
  puts("right");
}

static sigjmp_buf back;
static void jump(int signal) { siglongjmp(back, signal); }
static void say(int signal) {
  (void)signal;
  (void)!write(1, "handled\n", 8);
  _exit(0);
}

/* A handler from before the first guarded block is called after the line. */
static void handler(void) { use_after_free(); }
static void jumps(void) {
  char *at = block();
  for (int turn = 0; turn < 3; turn++)
    if (!sigsetjmp(back, 1)) {
      free(at);
      seen = at[turn];
      _exit(2);
    } else {
      at = block();
    }
  puts("right");
}
/* A fault that is none of ours. */
static void other_fault(void) {
  block();
  *(volatile int *)8 = 1;
}

int main(int count, char **names) {
  (void)count;
  if (!strcmp(names[1], "handler")) signal(SIGSEGV, say);
  if (!strcmp(names[1], "jumps")) signal(SIGSEGV, jump);
  /* The first calls of a process are never guarded. */
  for (size_t i = 1; i < 40; i++) free(malloc(i * 400));
  struct { const char *name; void (*act)(void); } acts[] = {
    {"overflow", overflow}, {"far_overflow", far_overflow}, {"underflow", underflow},
    {"use_after_free", use_after_free}, {"write_after_free", write_after_free},
    {"use_after_realloc", use_after_realloc}, {"double_free", double_free},
    {"interior", interior}, {"beside", beside}, {"wrong_size", wrong_size}, {"right", right},
    {"forks", forks}, {"handler", handler}, {"jumps", jumps}, {"other_fault", other_fault},
  };
  for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
    if (!strcmp(acts[i].name, names[1])) {
      acts[i].act();
      return 0;
    }
  return 1;
}

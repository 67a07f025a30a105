// Eight threads; each block's size says who made it: 10000 + 200 * thread + something below 100.
// Every third block is handed to the next thread, which frees it; every fifth is reallocated, up
// and down.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 8, ROUNDS = 20000, ROOM = ROUNDS };

static struct box {
    pthread_mutex_t lock;
    void *blocks[ROOM];
    int used;
} boxes[THREADS];

static pthread_barrier_t together;
static long handed[THREADS];

static void *work(void *argument) {
    int me = (int)(long)argument;
    pthread_barrier_wait(&together);
    for (int i = 0; i < ROUNDS; i++) {
        size_t size = 10000 + 200 * me + i % 100;
        char *block = malloc(size);
        if (block == NULL) abort();
        block[0] = 1;
        if (i % 5 == 0) {
            block = realloc(block, size + (i % 2 ? 100000 : -5000));
            if (block == NULL) abort();
        }
        struct box *next = &boxes[(me + 1) % THREADS];
        pthread_mutex_lock(&next->lock);
        if (i % 3 == 0 && next->used < ROOM) {
            next->blocks[next->used++] = block;
            block = NULL;
            handed[me]++;
        }
        pthread_mutex_unlock(&next->lock);
        free(block);
        struct box *mine = &boxes[me];
        pthread_mutex_lock(&mine->lock);
        void *arrived = mine->used > 0 ? mine->blocks[--mine->used] : NULL;
        pthread_mutex_unlock(&mine->lock);
        free(arrived);
    }
    pthread_barrier_wait(&together);
    struct box *mine = &boxes[me];
    while (mine->used > 0) free(mine->blocks[--mine->used]);
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    pthread_barrier_init(&together, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) pthread_mutex_init(&boxes[i].lock, NULL);
    for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void *)i);
    long sum = 0;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) sum += handed[i];
    printf("%d %d %ld\n", THREADS, ROUNDS, sum);
    return 0;
}

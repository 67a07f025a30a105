// Ends in the way its argument says, with blocks of 6100 bytes in key destructors and exit
// handlers.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_key_t key;

static void *volatile kept;

static void late(void *block) {
    free(block);
    kept = malloc(6100);
    free(kept);
}

static void at_exit(void) {
    kept = malloc(6200);
    free(kept);
}

static void *spin(void *unused) {
    (void)unused;
    for (;;) free(malloc(6300));
}

static void *end(void *how) {
    if (strcmp(how, "exit") == 0) exit(0);
    if (strcmp(how, "_exit") == 0) _exit(0);
    if (strcmp(how, "abort") == 0) abort();
    return NULL;
}

static void *with_key(void *unused) {
    (void)unused;
    pthread_setspecific(key, malloc(6000));
    return NULL;
}

int main(int count, char **arguments) {
    pthread_t thread;
    if (count != 2) return 2;
    atexit(at_exit);
    pthread_key_create(&key, late);
    for (int i = 0; i < 100; i++) {
        pthread_create(&thread, NULL, with_key, NULL);
        pthread_join(thread, NULL);
    }
    pthread_create(&thread, NULL, spin, NULL);
    pthread_create(&thread, NULL, end, arguments[1]);
    pthread_join(thread, NULL);
    return 0;
}

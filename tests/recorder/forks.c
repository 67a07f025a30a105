// Forks again and again while other threads allocate. Sizes tell who asked: 7777 the parent's main
// thread, 5555 its others, 8888 the children, 9999 the grandchildren.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int stop;

static void *noise(void *unused) {
    (void)unused;
    while (!atomic_load(&stop)) free(malloc(5555));
    return NULL;
}

static void blocks(size_t size, int count) {
    for (int i = 0; i < count; i++) {
        void *volatile block = malloc(size);
        if (block == NULL) _exit(9);
        free(block);
    }
}

static void finish(pid_t child) {
    int status;
    if (waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "a child ended with status %d\n", status);
        exit(1);
    }
}

int main(void) {
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, noise, NULL);
    void *kept[10];
    for (int i = 0; i < 10; i++) kept[i] = malloc(7777);
    for (int round = 0; round < 20; round++) {
        blocks(7777, 100);
        pid_t child = fork();
        if (child == 0) {
            for (int i = 0; i < 10; i++) free(kept[i]);
            blocks(8888, 1000 + round);
            pid_t grandchild = fork();
            if (grandchild == 0) {
                blocks(9999, 500);
                _exit(0);
            }
            finish(grandchild);
            blocks(8888, 10);
            if (round % 2) exit(0);
            _exit(0);
        }
        finish(child);
    }
    blocks(7777, 1000);
    atomic_store(&stop, 1);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 10; i++) free(kept[i]);
    return 0;
}

// Closes every descriptor it did not open, puts its own file on all of them, and allocates on.
// Takes the file's name; the file must stay as it was.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count != 2) return 2;
    for (int i = 3; i < 256; i++) close(i);
    int file = open(arguments[1], O_RDWR);
    if (file < 0) return 1;
    for (int i = 3; i < 256; i++) if (i != file) dup2(file, i);
    for (int i = 0; i < 100000; i++) {
        void *volatile block = malloc(6400);
        free(block);
    }
    return 0;
}

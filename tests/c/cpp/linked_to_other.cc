/* A C++ program that is linked to another allocator: strings, arrays, wide ones, and malloc. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <malloc.h>

struct alignas(128) Wide {
    char bytes[200];
};

int main()
{
    std::vector<std::string> texts;
    for (int i = 0; i < 2000; i++) {
        texts.push_back(std::string(static_cast<std::size_t>(i % 300), 'x'));
        auto one = std::make_unique<std::string>(texts.back());
        Wide *wide = new Wide[2];
        delete[] wide;
        int *some = new (std::nothrow) int[static_cast<std::size_t>(i % 70 + 1)];
        if (malloc_usable_size(some) < sizeof(int))
            return 4;
        delete[] some;
        void *block = std::malloc(static_cast<std::size_t>(i % 999));
        block = std::realloc(block, static_cast<std::size_t>(i % 3999 + 1));
        std::free(block);
        std::free(strdup("abc"));
        int *mixed = new int;
        std::free(mixed);
    }
    std::puts("right");
    return 0;
}

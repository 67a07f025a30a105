/*
 * Every operator new and delete of C++17, called by name, and as a program calls them; then no
 * memory: an exception, null, or as many calls of the program's handler as it takes.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <new>

#include <malloc.h>

#define CHECK(condition) \
    ((condition) ? (void)0 : (std::printf("line %d: %s\n", __LINE__, #condition), std::exit(1)))

static const std::size_t huge = PTRDIFF_MAX;
static const std::align_val_t wide{128};
static int calls = 0;

struct alignas(256) Wide {
    char bytes[300];
};

static void *seen(void *block, std::size_t size, std::size_t align)
{
    CHECK(block != nullptr && reinterpret_cast<std::uintptr_t>(block) % align == 0);
    CHECK(malloc_usable_size(block) >= size);
    std::memset(block, 1, size);
    return block;
}

static void every_form()
{
    const std::nothrow_t &no = std::nothrow;
    for (std::size_t size : {0, 1, 24, 500, 5000, 40000, 3000000}) {
        operator delete(seen(operator new(size), size, 16));
        operator delete[](seen(operator new[](size), size, 16));
        operator delete(seen(operator new(size, no), size, 16), no);
        operator delete[](seen(operator new[](size, no), size, 16), no);
        operator delete(seen(operator new(size), size, 16), size);
        operator delete[](seen(operator new[](size), size, 16), size);
        operator delete(seen(operator new(size, wide), size, 128), wide);
        operator delete[](seen(operator new[](size, wide), size, 128), wide);
        operator delete(seen(operator new(size, wide, no), size, 128), wide, no);
        operator delete[](seen(operator new[](size, wide, no), size, 128), wide, no);
        operator delete(seen(operator new(size, wide), size, 128), size, wide);
        operator delete[](seen(operator new[](size, wide), size, 128), size, wide);
        /* The blocks are malloc's. */
        std::free(seen(operator new(size), size, 16));
        operator delete(seen(std::malloc(size), size, 16));
    }
    operator delete(nullptr);
    operator delete[](nullptr, std::size_t{5});
    operator delete(nullptr, std::size_t{5}, wide);
    Wide *some = new Wide[3];
    CHECK(reinterpret_cast<std::uintptr_t>(some) % 256 == 0);
    delete[] some;
    delete new Wide;
}

/* Throws, and destroys what is on the stack on its way. */
struct Noted {
    int *count;
    ~Noted() { ++*count; }
};

template <typename F> static int thrown(F f)
{
    int destroyed = 0;
    try {
        Noted noted{&destroyed};
        f();
    } catch (const std::bad_alloc &) {
        return destroyed;
    }
    return -1;
}

static void gives_up()
{
    if (++calls % 3 == 0)
        std::set_new_handler(nullptr);
}

static void throws()
{
    ++calls;
    throw std::bad_alloc();
}

static void no_memory()
{
    CHECK(thrown([] { return operator new(huge); }) == 1);
    CHECK(thrown([] { return operator new[](huge); }) == 1);
    CHECK(thrown([] { return operator new(huge, wide); }) == 1);
    CHECK(thrown([] { return operator new[](huge, wide); }) == 1);
    CHECK(operator new(huge, std::nothrow) == nullptr);
    CHECK(operator new[](huge, std::nothrow) == nullptr);
    CHECK(operator new(huge, wide, std::nothrow) == nullptr);
    CHECK(operator new[](huge, wide, std::nothrow) == nullptr);

    std::set_new_handler(gives_up);
    CHECK(thrown([] { return operator new(huge); }) == 1 && calls == 3);
    std::set_new_handler(gives_up);
    CHECK(operator new(huge, std::nothrow) == nullptr && calls == 6);
    std::set_new_handler(gives_up);
    CHECK(thrown([] { return operator new[](huge, wide); }) == 1 && calls == 9);
    std::set_new_handler(throws);
    CHECK(thrown([] { return operator new(huge); }) == 1 && calls == 10);
    CHECK(thrown([] { return operator new[](huge); }) == 1 && calls == 11);
    CHECK(operator new(huge, std::nothrow) == nullptr && calls == 12);
    CHECK(operator new[](huge, std::nothrow) == nullptr && calls == 13);
    CHECK(operator new(huge, wide, std::nothrow) == nullptr && calls == 14);
}

int main()
{
    every_form();
    no_memory();
    std::puts("right");
    return 0;
}

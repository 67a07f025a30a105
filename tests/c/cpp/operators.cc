/*
 * Sized deletes. With REPLACED the program has a new and a delete of its own, which put a header
 * before each block, and, as most programs that replace any, no sized delete; with REPLACED_ARRAY
 * those for arrays only. The runtime's sized deletes call them, so whoever stands in for the
 * runtime must too.
 *
 * The argument: "right", or the delete that is to be given a wrong size.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <thread>
#include <vector>

#if defined(REPLACED) || defined(REPLACED_ARRAY)
static const std::uint64_t MAGIC = 0x0123456789abcdef;
static long balance;

static void *allocated(std::size_t size)
{
    auto *header = static_cast<std::uint64_t *>(std::malloc(size + 16));
    if (!header)
        throw std::bad_alloc();
    header[0] = MAGIC;
    __atomic_fetch_add(&balance, 1, __ATOMIC_RELAXED);
    return header + 2;
}

static void take_back(void *block)
{
    if (!block)
        return;
    auto *header = static_cast<std::uint64_t *>(block) - 2;
    if (header[0] != MAGIC) {
        std::fputs("a block that is not the program's\n", stderr);
        std::abort();
    }
    header[0] = 0;
    __atomic_fetch_sub(&balance, 1, __ATOMIC_RELAXED);
    std::free(header);
}
#endif
#ifdef REPLACED
void *operator new(std::size_t size) { return allocated(size); }
void operator delete(void *block) noexcept { take_back(block); }
#endif
#ifdef REPLACED_ARRAY
void *operator new[](std::size_t size) { return allocated(size); }
void operator delete[](void *block) noexcept { take_back(block); }
#endif

template <std::size_t Size, std::size_t Align> struct alignas(Align) Thing {
    /* Not trivial, so arrays know their length. */
    ~Thing() { *const_cast<volatile char *>(bytes) = 1; }
    char bytes[Size];
};

template <class T> static void right()
{
    std::vector<T *> things, arrays;
    for (int number = 0; number < 100; number++) {
        things.push_back(new T());
        arrays.push_back(new T[number % 7 + 1]());
        std::memset(things.back()->bytes, number, sizeof things.back()->bytes);
    }
    for (T *thing : things)
        delete thing;
    for (T *array : arrays)
        delete[] array;
}

static void all()
{
    right<Thing<1, 1>>();
    right<Thing<24, 8>>();
    right<Thing<100, 4>>();
    right<Thing<5000, 8>>();
    right<Thing<40, 64>>();
    right<Thing<3000, 4096>>();
    for (std::size_t size : {std::size_t(0), std::size_t(100), std::size_t(70000),
                             std::size_t(3) << 20}) {
        ::operator delete(::operator new(size), size);
        ::operator delete[](::operator new[](size), size);
        for (auto align : {std::align_val_t(1), std::align_val_t(64), std::align_val_t(1 << 21)}) {
            ::operator delete(::operator new(size, align), size, align);
            ::operator delete[](::operator new[](size, align), size, align);
        }
    }
    ::operator delete(nullptr, std::size_t(10));
    ::operator delete(nullptr, std::size_t(10), std::align_val_t(64));
}

/* Before main, perhaps before the library's own start. */
static struct Early {
    Early() { all(); }
} early;

int main(int, char **arguments)
{
    std::string what = arguments[1];
    all();
    std::thread(all).join();
    std::vector<int *> others;
    for (int number = 0; number < 1000; number++)
        others.push_back(new int(number));
    std::thread([&] {
        for (int *other : others)
            delete other;
    }).join();
#if defined(REPLACED) || defined(REPLACED_ARRAY)
    if (balance < 0 || balance > 10)
        return 3;
#endif
    volatile std::size_t wrong = 1000;
    if (what == "plain")
        ::operator delete(::operator new(100), wrong);
    if (what == "array")
        ::operator delete[](::operator new[](100), wrong);
    if (what == "aligned")
        ::operator delete(::operator new(100, std::align_val_t(64)), wrong, std::align_val_t(64));
    if (what == "aligned_array") {
        void *block = ::operator new[](100, std::align_val_t(64));
        ::operator delete[](block, wrong, std::align_val_t(64));
    }
    std::puts(what.c_str());
    return 0;
}

/*
 * A C++ program on Drystone: containers, threads, exceptions, classes with an alignment.
 *
 *   make -C capi install PREFIX=/tmp/drystone
 *   export PKG_CONFIG_PATH=/tmp/drystone/lib/pkgconfig
 *   c++ -std=c++17 -pthread examples/hello.cc -o hello $(pkg-config --cflags --libs drystone)
 *   LD_LIBRARY_PATH=/tmp/drystone/lib DRYSTONE_STATS=1 ./hello
 *
 * Of Drystone's own it uses the version's number alone.
 */
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <drystone.h>

struct Stone {
    virtual ~Stone() = default;
    std::string name;
};

struct alignas(128) Keystone : Stone {
    double load[8] = {};
};

/* Throws from a thread's depth, with blocks on the way that unwinding must free. */
static std::size_t lay(int course)
{
    std::vector<std::unique_ptr<Stone>> wall;
    for (int number = 0; number < 100; number++) {
        wall.push_back(number % 10 ? std::make_unique<Stone>() : std::make_unique<Keystone>());
        wall.back()->name = "stone " + std::to_string(number) + " of a course with a long name";
        if (course == 3 && number == 50)
            throw std::runtime_error("course " + std::to_string(course) + " does not hold");
    }
    return wall.size();
}

int main()
{
    std::vector<std::string> said(5);
    std::vector<std::thread> masons;
    for (int course = 0; course < 5; course++)
        masons.emplace_back([&said, course] {
            try {
                said[course] = std::to_string(lay(course)) + " stones";
            } catch (const std::exception &error) {
                said[course] = error.what();
            }
        });
    for (auto &mason : masons)
        mason.join();
    for (const auto &line : said)
        std::cout << line << '\n';

    auto *arch = new Keystone[3];
    std::cout << "aligned: " << (reinterpret_cast<std::uintptr_t>(arch) % 128 == 0 ? "yes" : "no")
              << '\n';
    delete[] arch;

    std::map<std::string, int> count;
    for (int number = 0; number < 1000; number++)
        count[std::to_string(number * 7919 % 101)]++;
    std::cout << count.size() << " keys, Drystone " << (*drystone_version() ? "here" : "?") << '\n';
    return 0;
}

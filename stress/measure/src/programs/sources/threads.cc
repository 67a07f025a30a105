/* C++ with threads that come and go, exceptions from their depths, containers that change hands. */
#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

struct Stone {
    explicit Stone(unsigned number) : name("stone " + std::to_string(number) + " of a long name") {}
    virtual ~Stone() = default;
    std::string name;
};

struct alignas(256) Keystone : Stone {
    using Stone::Stone;
    unsigned char bytes[300] = {1};
};

static unsigned draw(unsigned &state)
{
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

/* Builds, throws one time in four, and leaves everything to unwinding. */
static std::size_t lay(unsigned seed)
{
    std::vector<std::unique_ptr<Stone>> wall;
    for (unsigned number = 0; number < 50 + seed % 50; number++) {
        if (number % 10)
            wall.push_back(std::make_unique<Stone>(number));
        else
            wall.push_back(std::make_unique<Keystone>(number));
        if (seed % 4 == 3 && number == 40)
            throw std::runtime_error("course " + std::to_string(seed));
    }
    return wall.size();
}

/* A queue of blocks that one thread makes and another frees. */
class Queue {
public:
    void put(std::unique_ptr<Stone> stone)
    {
        std::unique_lock<std::mutex> lock(mutex);
        room.wait(lock, [&] { return stones.size() < 100; });
        stones.push_back(std::move(stone));
        some.notify_one();
    }
    std::unique_ptr<Stone> get()
    {
        std::unique_lock<std::mutex> lock(mutex);
        some.wait(lock, [&] { return !stones.empty(); });
        auto stone = std::move(stones.front());
        stones.pop_front();
        room.notify_one();
        return stone;
    }

private:
    std::mutex mutex;
    std::condition_variable some, room;
    std::deque<std::unique_ptr<Stone>> stones;
};

int main()
{
    std::atomic<std::size_t> laid{0}, thrown{0};
    for (unsigned generation = 0; generation < 50; generation++) {
        std::vector<std::thread> masons;
        for (unsigned mason = 0; mason < 4; mason++)
            masons.emplace_back([&, generation, mason] {
                for (unsigned course = 0; course < 10; course++)
                    try {
                        laid += lay(generation * 40 + mason * 10 + course);
                    } catch (const std::exception &error) {
                        thrown += std::string(error.what()).size();
                    }
            });
        for (auto &mason : masons)
            mason.join();
    }
    std::cout << laid << ' ' << thrown << '\n';

    Queue queue;
    std::thread maker([&] {
        for (unsigned number = 0; number < 20000; number++)
            queue.put(number % 50 ? std::make_unique<Stone>(number)
                                  : std::make_unique<Keystone>(number));
        queue.put(nullptr);
    });
    std::size_t letters = 0;
    while (auto stone = queue.get())
        letters += stone->name.size();
    maker.join();
    std::cout << letters << '\n';

    auto counted = [](unsigned seed) {
        std::map<std::string, unsigned> count;
        for (int round = 0; round < 20000; round++)
            count[std::to_string(draw(seed) % 5000)]++;
        return count;
    };
    auto one = std::async(std::launch::async, counted, 1);
    auto other = std::async(std::launch::async, counted, 2);
    auto ours = one.get();
    for (auto &[key, number] : other.get())
        ours[key] += number;
    unsigned sum = 0;
    for (auto &[key, number] : ours)
        sum = sum * 31 + static_cast<unsigned>(key.size()) * number;
    std::cout << ours.size() << ' ' << sum << '\n';
    return 0;
}

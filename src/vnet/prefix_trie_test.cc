// The compressed trie against a plain list: whatever comes and goes, the same answers.
#include "vnet/prefix_trie.h"

#include <gtest/gtest.h>

#include <map>

#include "core/random.h"

namespace wh::vnet {
namespace {

Key4 draw_key(Random& random, Key4*) {
  // Few distinct bits in each part, so that prefixes nest and share nodes.
  return {static_cast<uint32_t>(random.below(3) << 30 | random.below(4) << 20 |
                                random.below(8) << 12 | random.below(64) << 6 | random.below(4))};
}
Key6 draw_key(Random& random, Key6*) {
  return {
      uint64_t{0x20010db8} << 32 | random.below(4) << 28 | random.below(4) << 14 | random.below(4),
      random.below(4) << 62 | random.below(4) << 30 | random.below(8)};
}
Key4 masked(Key4 k, uint32_t n) {
  return {n == 0 ? 0 : k.bits & ~uint32_t{0} << (32 - n)};
}
Key6 masked(Key6 k, uint32_t n) {
  if (n == 0) return {};
  if (n <= 64) return {k.high & ~uint64_t{0} << (64 - n), 0};
  return {k.high, n == 128 ? k.low : k.low & ~uint64_t{0} << (128 - n)};
}
bool operator<(Key4 a, Key4 b) {
  return a.bits < b.bits;
}
bool operator<(Key6 a, Key6 b) {
  return std::tie(a.high, a.low) < std::tie(b.high, b.low);
}
bool equal(Key4 a, Key4 b) {
  return a.bits == b.bits;
}
bool equal(Key6 a, Key6 b) {
  return a.high == b.high && a.low == b.low;
}

template <class Key>
struct Less {
  bool operator()(const std::pair<Key, uint32_t>& a, const std::pair<Key, uint32_t>& b) const {
    if (a.first < b.first || b.first < a.first) return a.first < b.first;
    return a.second < b.second;
  }
};

template <class Key>
class TrieTest : public testing::Test {
 protected:
  using List = std::map<std::pair<Key, uint32_t>, uint32_t, Less<Key>>;

  uint32_t in_list(const Key& key) const {
    for (int n = Key::kBits; n >= 0; --n) {
      const auto length = static_cast<uint32_t>(n);
      const auto it = list.find({masked(key, length), length});
      if (it != list.end()) return it->second;
    }
    return 0;
  }
  void check_all(Random& random) {
    ASSERT_EQ(trie.size(), list.size());
    auto expected = list.begin();
    std::map<uint32_t, size_t> lengths;
    trie.for_each([&](const Key& key, uint32_t length, uint32_t value) {
      ++lengths[length];
      ASSERT_NE(expected, list.end());
      EXPECT_TRUE(equal(key, expected->first.first));
      EXPECT_EQ(length, expected->first.second);
      EXPECT_EQ(value, expected->second);
      ++expected;
    });
    EXPECT_EQ(expected, list.end());
    for (uint32_t length = 0; length <= Key::kBits; ++length) {
      EXPECT_EQ(trie.size(length), lengths[length]);
    }
    check_behind(random);
    std::vector<Key> keys;
    for (int i = 0; i < 500; ++i) keys.push_back(draw_key(random, static_cast<Key*>(nullptr)));
    std::vector<uint32_t> values(keys.size());
    trie.lookup(keys, values.data());
    for (size_t i = 0; i < keys.size(); ++i) {
      ASSERT_EQ(values[i], in_list(keys[i]));
      ASSERT_EQ(trie.lookup(keys[i]), values[i]);
    }
  }

  // Behind prefixes that are here and others, what the list has there.
  void check_behind(Random& random) {
    for (int i = 0; i < 50; ++i) {
      auto length = static_cast<uint32_t>(random.below(Key::kBits + 1));
      Key key = masked(draw_key(random, static_cast<Key*>(nullptr)), length);
      if (i % 2 == 0 && !list.empty()) {
        const auto one = std::next(list.begin(), static_cast<long>(random.below(list.size())));
        std::tie(key, length) = one->first;
      }
      auto expected = list.upper_bound({key, length});
      int left = 5;
      const typename PrefixTrie<Key>::Start start{key, length};
      trie.for_each_behind(&start, [&](const Key& k, uint32_t l, uint32_t value) {
        EXPECT_NE(expected, list.end());
        if (expected == list.end()) return false;
        EXPECT_TRUE(equal(k, expected->first.first));
        EXPECT_EQ(l, expected->first.second);
        EXPECT_EQ(value, expected->second);
        ++expected;
        return --left > 0;
      });
      EXPECT_TRUE(left == 0 || expected == list.end());
    }
  }

  PrefixTrie<Key> trie;
  List list;
};

using Families = testing::Types<Key4, Key6>;
TYPED_TEST_SUITE(TrieTest, Families);

// Grows through all sizes of the root and shrinks to nothing.
TYPED_TEST(TrieTest, agrees_with_a_list_as_prefixes_come_and_go) {
  using Key = TypeParam;
  for (const uint64_t seed : {1u, 2u}) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    this->trie = PrefixTrie<Key>();
    this->list.clear();
    for (int step = 0; step < 9000; ++step) {
      const auto length = static_cast<uint32_t>(random.below(Key::kBits + 1));
      const Key key = masked(draw_key(random, static_cast<Key*>(nullptr)), length);
      // First mostly insertions, at the end mostly removals.
      if (random.chance(step < 6000 ? 0.2 : 0.9)) {
        ASSERT_EQ(this->trie.remove(key, length), this->list.erase({key, length}) == 1);
      } else {
        const auto value = static_cast<uint32_t>(random.between(1, 1000));
        this->trie.insert(key, length, value);
        this->list[{key, length}] = value;
      }
      const auto known = this->list.find({key, length});
      ASSERT_EQ(this->trie.find(key, length), known == this->list.end() ? 0 : known->second);
      if (step % 750 == 0) this->check_all(random);
    }
    const auto all = this->list;
    for (const auto& [prefix, value] : all) {
      ASSERT_TRUE(this->trie.remove(prefix.first, prefix.second));
      this->list.erase(prefix);
    }
    this->check_all(random);
  }
}

TYPED_TEST(TrieTest, keeps_the_boundaries_of_every_length) {
  using Key = TypeParam;
  Key ones;
  if constexpr (Key::kBits == 32) {
    ones.bits = ~uint32_t{0};
  } else {
    ones = {~uint64_t{0}, ~uint64_t{0}};
  }
  for (uint32_t length = 0; length <= Key::kBits; ++length) {
    this->trie.insert(ones, length, length + 1);
    EXPECT_EQ(this->trie.lookup(ones), length + 1);
    this->trie.insert(Key{}, length, length + 1);
    EXPECT_EQ(this->trie.lookup(Key{}), length + 1);
  }
  for (uint32_t length = Key::kBits; length > 0; --length) {
    EXPECT_TRUE(this->trie.remove(ones, length));
    EXPECT_FALSE(this->trie.remove(ones, length));
    EXPECT_EQ(this->trie.lookup(ones), length);
  }
}

TEST(RunPool, uses_freed_runs_again) {
  RunPool<uint32_t> pool;
  uint32_t run = 0, count = 0;
  for (uint32_t i = 0; i < 128; ++i) run = pool.insert(run, count++, i / 2, i);
  const size_t memory = pool.memory();
  for (int round = 0; round < 100; ++round) {
    while (count > 0) {
      --count;
      run = pool.erase(run, count + 1, count / 2);
    }
    EXPECT_EQ(run, 0u);
    for (uint32_t i = 0; i < 128; ++i) run = pool.insert(run, count++, i / 2, i);
  }
  EXPECT_EQ(pool.memory(), memory);
}

}  // namespace
}  // namespace wh::vnet

#include "queue.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <thread>

std::shared_ptr<Mailbox> Mailbox::Open(napi_env env) {
  auto box = std::make_shared<Mailbox>();
  napi_value name;
  box->env_ = env;
  napi_create_string_utf8(env, "strongroom", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, box.get(), Receive, &box->wake_) != napi_ok) {
    napi_throw_error(env, nullptr, "no threadsafe function");
    return nullptr;
  }
  napi_unref_threadsafe_function(env, box->wake_);
  return box;
}

void Mailbox::Expect() {
  if (expected_++ == 0) napi_ref_threadsafe_function(env_, wake_);
}

// One call for each: Node wakes the loop once for all that are waiting, and
// runs the continuations of one before it takes the next, so that the service
// indicator set for a result is still that result's when its caller asks.
void Mailbox::Post(std::unique_ptr<Work> work) {
  std::lock_guard<std::mutex> hold(lock_);
  if (shut_) return;
  if (napi_call_threadsafe_function(wake_, work.get(), napi_tsfn_nonblocking) == napi_ok) work.release();
}

void Mailbox::Receive(napi_env env, napi_value, void* self, void* given) {
  std::unique_ptr<Work> work(static_cast<Work*>(given));
  if (env == nullptr) return;                   // the environment is going: drop it
  auto* box = static_cast<Mailbox*>(self);
  if (--box->expected_ == 0) napi_unref_threadsafe_function(env, box->wake_);
  work->Deliver(env);
}

void Mailbox::Shut() {
  std::lock_guard<std::mutex> hold(lock_);
  shut_ = true;                                 // Node ends the threadsafe function itself
}

bool Mailbox::shut() {
  std::lock_guard<std::mutex> hold(lock_);
  return shut_;
}

namespace {

struct Item {
  std::shared_ptr<Mailbox> mailbox;
  std::unique_ptr<Work> work;
};

class Queue {
 public:
  void Push(Item item) {
    std::lock_guard<std::mutex> hold(lock_);
    items_.push_back(std::move(item));
    if (items_.size() > idle_ && threads_ < limit_) Start();
    ready_.notify_one();
  }

  bool Ready() {
    std::lock_guard<std::mutex> hold(lock_);
    if (threads_ == 0) Start();
    return threads_ != 0;
  }

 private:
  // Signals are the program's: its own threads take them.
  void Start() {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attr, Loop, this) == 0) threads_++;
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  static void* Loop(void* self) {
    static_cast<Queue*>(self)->Serve();
    return nullptr;
  }

  void Serve() {
    for (;;) {
      Item item = Take();
      if (item.mailbox->shut()) continue;       // dropped: nobody waits for it
      item.work->Run();
      item.mailbox->Post(std::move(item.work));
    }
  }

  Item Take() {
    std::unique_lock<std::mutex> hold(lock_);
    idle_++;
    ready_.wait(hold, [this] { return !items_.empty(); });
    idle_--;
    Item item = std::move(items_.front());
    items_.pop_front();
    return item;
  }

  std::mutex lock_;
  std::condition_variable ready_;
  std::deque<Item> items_;
  size_t idle_ = 0, threads_ = 0;
#ifdef STRONGROOM_LAB
  const size_t limit_ = 1;                      // a run with a seed replays, on whatever machine
#else
  const size_t limit_ = std::clamp<size_t>(std::thread::hardware_concurrency(), 2, 8);
#endif
};

}  // namespace

// Never destroyed: its threads outlive main's end.
static Queue& TheQueue() {
  static Queue* const queue = new Queue;
  return *queue;
}

bool QueueReady() { return TheQueue().Ready(); }

void QueueWork(std::shared_ptr<Mailbox> mailbox, std::unique_ptr<Work> work) {
  mailbox->Expect();
  TheQueue().Push({std::move(mailbox), std::move(work)});
}

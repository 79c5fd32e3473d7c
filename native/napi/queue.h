// queue.h - slow work: a few threads of the process take it from one queue,
// finished work goes back by its environment's mailbox to the JavaScript thread.
//
// Threads are started when first needed and never end: they own nothing that a
// process.exit in the middle of work could pull away from under them.
#ifndef STRONGROOM_NAPI_QUEUE_H
#define STRONGROOM_NAPI_QUEUE_H

#include <napi.h>

#include <memory>
#include <mutex>

class Mailbox;

class Work {
 public:
  virtual ~Work() = default;
  virtual void Run() = 0;                       // on a thread of the queue: no JavaScript
  virtual void Deliver(napi_env env) = 0;       // on the JavaScript thread
};

// Made and shut on the JavaScript thread.
class Mailbox {
 public:
  // NULL: an exception is pending.
  static std::shared_ptr<Mailbox> Open(napi_env env);
  // The environment stays alive while work is under way.
  void Expect();
  // From a thread of the queue. Dropped when the environment has gone.
  void Post(std::unique_ptr<Work> work);
  void Shut();
  bool shut();

 private:
  static void Receive(napi_env env, napi_value, void* self, void* work);

  std::mutex lock_;
  bool shut_ = false;
  napi_threadsafe_function wake_ = nullptr;
  napi_env env_ = nullptr;
  size_t expected_ = 0;                         // JavaScript thread only
};

// Is there a thread to work? Starts the first. False: the system gives none.
bool QueueReady();
// Queue work for its mailbox. JavaScript thread.
void QueueWork(std::shared_ptr<Mailbox> mailbox, std::unique_ptr<Work> work);

#endif

let () =
  Support.Harness.run
    (List.concat
       [
         Lifecycle.tests; Caches.tests; Callbacks.tests; Cancelling.tests; Collection.tests; Threads.tests; Errors.tests;
       ])

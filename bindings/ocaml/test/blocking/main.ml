let building = [ Lifecycle.tests; Caches.tests; Within_bounds.tests; Errors.tests; Publishing.tests; Waiting.tests ]
let binding = [ Callbacks.tests; Cancelling.tests; Collection.tests; Threads.tests ]
let () = Support.Harness.run (List.concat (building @ binding))

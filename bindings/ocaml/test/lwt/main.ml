let () = Support.Harness.run (List.concat [ Event_loop.tests; Cancelling.tests; Waiting.tests; Obuilder_store.tests; Stress.tests ])

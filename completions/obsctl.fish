complete --keep-order --exclusive --command obsctl --arguments "(COMPLETE=fish obsctl -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"

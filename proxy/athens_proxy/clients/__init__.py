"""Who may ask this proxy: files of salted hashes, how they are read, checked and watched."""

"""Operations: one file each, with all that is known of one."""

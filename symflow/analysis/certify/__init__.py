"""Certified statements: theorems on a user's own run, proved by computation.

`request` checks what is asked, `decide` encloses flow and descent and decides the claims, `certificate` is the record.
"""

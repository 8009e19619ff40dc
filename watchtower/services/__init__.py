"""What decides across rooms: each service joins several rooms to one answer, and knows no other service.

What a service needs of another it takes as a function or a small Protocol; the daemon connects them.
"""

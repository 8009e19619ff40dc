"""Child processes of the daemon: started, watched, ended and started again. Each child is a policy of one machinery.

The parent's side only: no child imports anything from here. ``policy`` is pure: when to start again, how long to wait
for a sign of life. ``child_process`` holds a process that ends with us, ``outliving`` one that does not; ``respawning``
keeps a child of either kind alive, ``on_demand`` starts one when it is needed. What a child is for, what it says and
what its silence means is the business of its room.
"""
